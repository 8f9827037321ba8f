//! f64 in JSON, with the values that JSON has no word for: `"NaN"`, `"inf"` and `"-inf"`.
//!
//! A diverged loss must be readable in the journal; serde_json alone writes `null` and can't read it back.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// `#[serde(with = "number")]`
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.collect_str(value) }
}

/// `#[serde(with = "number")]`
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(r#"a number, "NaN", "inf" or "-inf""#)
        }
        fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }
        fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }
        fn visit_str<E: Error>(self, text: &str) -> Result<f64, E> {
            match text {
                "NaN" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
            }
        }
    }
    deserializer.deserialize_any(Number)
}

/// One such number, for containers.
#[derive(Serialize, Deserialize)]
struct Wrapped(#[serde(with = "super::number")] f64);

/// `#[serde(with = "number::map")]`
pub mod map {
    use super::*;

    /// Names to numbers, non-finite ones included.
    pub fn serialize<S: Serializer>(map: &BTreeMap<String, f64>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(map.iter().map(|(name, value)| (name, Wrapped(*value))))
    }

    /// Names to numbers, non-finite ones included.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, f64>, D::Error> {
        let wrapped = BTreeMap::<String, Wrapped>::deserialize(deserializer)?;
        Ok(wrapped.into_iter().map(|(name, Wrapped(value))| (name, value)).collect())
    }
}

/// `#[serde(with = "exact")]`: a number that must come back with every bit, kept as a string.
///
/// serde_json reads one f64 in a dozen back with its last bit off.
pub mod exact {
    use super::*;

    /// The shortest decimal that parses back to the same bits.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(|value| value.to_string()).serialize(serializer)
    }

    /// As [`serialize`] wrote it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}
