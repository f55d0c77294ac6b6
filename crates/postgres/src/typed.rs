//! Parameters with their types.

use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// A value whose type in the database is known beforehand.
pub trait Typed: ToSql + Sync {
    /// That type.
    const TYPE: Type;
    /// That of many of them.
    const MANY: Type;
}

macro_rules! types {
    ($($rust:ty => $one:ident, $many:ident;)+) => {
        $(impl Typed for $rust {
            const TYPE: Type = Type::$one;
            const MANY: Type = Type::$many;
        })+
    };
}

types! {
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

/// A parameter of a statement: every [`Typed`] value is one.
pub trait Param: Sync {
    /// The value and its type, as the client takes them.
    fn typed(&self) -> (&(dyn ToSql + Sync), Type);
}

impl<T: Typed> Param for T {
    fn typed(&self) -> (&(dyn ToSql + Sync), Type) {
        (self, T::TYPE)
    }
}

/// Parameters as the client's `query_typed` and `execute_typed` take them.
#[must_use]
pub fn typed<'p>(params: &[&'p dyn Param]) -> Vec<(&'p (dyn ToSql + Sync), Type)> {
    params.iter().map(|param| param.typed()).collect()
}

/// Parameters with their types, in the order of `$1`, `$2` …: `params![tenant.as_str(), 5_i64, &names[..]]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$(&$value as &dyn $crate::Param),*] as &[&dyn $crate::Param]
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_brings_its_type() {
        let names = ["one".to_owned()];
        let given = params![5_i64, "text", None::<i64>, true, &names[..]];
        let types: Vec<Type> = typed(given).into_iter().map(|(_, it)| it).collect();
        let expected = [
            Type::INT8,
            Type::TEXT,
            Type::INT8,
            Type::BOOL,
            Type::TEXT_ARRAY,
        ];
        assert_eq!(types, expected);
    }
}
