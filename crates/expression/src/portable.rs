//! A program as data: its source and its mode.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{CompileOptions, Mode, Program};

/// The portable form of a [`Program`].
#[derive(Serialize, Deserialize)]
#[serde(rename = "Program", deny_unknown_fields)]
struct Portable<S> {
    source: S,
    #[serde(default)]
    mode: Mode,
}

impl Serialize for Program {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Portable {
            source: self.source(),
            mode: self.mode(),
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Program {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Portable::<String> { source, mode } = Portable::deserialize(deserializer)?;
        let options = CompileOptions {
            mode,
            ..CompileOptions::default()
        };
        Program::compile(&source, &options).map_err(|errors| {
            let all: Vec<String> = errors
                .iter()
                .map(|error| format!("{}: {error}", error.code))
                .collect();
            de::Error::custom(all.join("; "))
        })
    }
}
