//! Text from the environment or a flag, read as the kind of value that a setting wants.

use serde::de::Visitor;

use crate::read::ReadError;

/// Hands a whole number over in the smallest form that holds it, as serde's own visitors expect.
pub(crate) fn visit_int<'de, V: Visitor<'de>>(
    int: i128,
    visitor: V,
) -> Result<V::Value, ReadError> {
    match (i64::try_from(int), u64::try_from(int)) {
        (Ok(int), _) => visitor.visit_i64(int),
        (_, Ok(int)) => visitor.visit_u64(int),
        _ => visitor.visit_i128(int),
    }
}

pub(crate) fn deserialize_bool<'de, V: Visitor<'de>>(
    text: &str,
    visitor: V,
) -> Result<V::Value, ReadError> {
    match text.trim() {
        "true" => visitor.visit_bool(true),
        "false" => visitor.visit_bool(false),
        _ => Err(ReadError::value("expected true or false")),
    }
}

fn int<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, ReadError> {
    let int = text.trim().parse();
    let int = int.map_err(|_| ReadError::value("expected a whole number"))?;
    visit_int(int, visitor)
}

fn float<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, ReadError> {
    let float = text.trim().parse();
    visitor.visit_f64(float.map_err(|_| ReadError::value("expected a number"))?)
}

macro_rules! same {
    ($read:ident: $($name:ident)*) => {$(
        pub(crate) fn $name<'de, V: Visitor<'de>>(text: &str, visitor: V) -> Result<V::Value, ReadError> {
            $read(text, visitor)
        }
    )*};
}

same!(int: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128);
same!(int: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128);
same!(float: deserialize_f32 deserialize_f64);
