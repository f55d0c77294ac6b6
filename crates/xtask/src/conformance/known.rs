//! The list of cases whose result is known to be another one, each with its reason.

use std::{collections::BTreeMap, fs, path::Path};

use serde::Deserialize;

use super::case::Case;

/// The file: groups of cases that one reason explains.
///
/// ```toml
/// [[group]]
/// reason = "why the language gives something else"
/// cases = [{ file = "…", expr = "…", expect = "…" }]
/// ```
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Known {
    #[serde(default, rename = "group")]
    groups: Vec<Group>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Group {
    reason: String,
    cases: Vec<Case>,
}

impl Known {
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let known: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        match known.groups.iter().find(|g| g.reason.trim().is_empty()) {
            Some(_) => Err("a group has no reason".to_owned()),
            None => Ok(known),
        }
    }

    /// The listed cases, each with its reason.
    pub(crate) fn by_case(&self) -> BTreeMap<(&str, &str, &str), &str> {
        self.groups
            .iter()
            .flat_map(|group| {
                let reason = group.reason.as_str();
                group.cases.iter().map(move |case| (case.name(), reason))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn every_case_has_the_reason_of_its_group() {
        let text = r#"
            [[group]]
            reason = "holes read as undefined"
            cases = [{ file = "a.js", expr = "[,]", expect = "1" }]
        "#;
        let known = Known::parse(text).unwrap();
        let reason = known.by_case().get(&("a.js", "[,]", "1")).copied();
        assert_eq!(reason, Some("holes read as undefined"));
    }

    #[test]
    fn a_group_without_a_reason_is_refused() {
        assert!(Known::parse("[[group]]\nreason = ' '\ncases = []").is_err());
    }
}
