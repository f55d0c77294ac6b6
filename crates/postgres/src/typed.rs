//! Parameters with their types.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// A parameter of a statement and its type, as the client takes them.
pub type Param<'p> = (&'p (dyn ToSql + Sync), Type);

/// A value whose type in the database is known beforehand.
pub trait Typed: ToSql + Sync {
    /// That type.
    const TYPE: Type;
    /// That of many of them.
    const MANY: Type;
}

macro_rules! typed {
    ($($rust:ty => $one:ident, $many:ident;)+) => {
        $(impl Typed for $rust {
            const TYPE: Type = Type::$one;
            const MANY: Type = Type::$many;
        })+
    };
}

typed! {
    bool => BOOL, BOOL_ARRAY;
    i16 => INT2, INT2_ARRAY;
    i32 => INT4, INT4_ARRAY;
    i64 => INT8, INT8_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    String => TEXT, TEXT_ARRAY;
    &[u8] => BYTEA, BYTEA_ARRAY;
    Vec<u8> => BYTEA, BYTEA_ARRAY;
    Uuid => UUID, UUID_ARRAY;
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
    const MANY: Type = T::MANY;
}

/// Many values in one parameter, for `unnest` and `= ANY`.
impl<T: Typed> Typed for Vec<T> {
    const TYPE: Type = T::MANY;
    const MANY: Type = T::MANY;
}

/// Many values in one parameter, for `unnest` and `= ANY`.
impl<T: Typed> Typed for &[T] {
    const TYPE: Type = T::MANY;
    const MANY: Type = T::MANY;
}

/// A parameter with its type; [`params!`](crate::params) makes them.
pub fn param<T: Typed>(value: &T) -> Param<'_> {
    (value, T::TYPE)
}

/// Parameters with their types, in the order of `$1`, `$2` …: `params![tenant.as_str(), 5_i64, &names[..]]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::param(&$value)),*]
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_brings_its_type() {
        let given: &[Param<'_>] = params![5_i64, "text", None::<i64>, true];
        let types: Vec<Type> = given.iter().map(|(_, it)| it.clone()).collect();
        assert_eq!(types, [Type::INT8, Type::TEXT, Type::INT8, Type::BOOL]);
    }
}
