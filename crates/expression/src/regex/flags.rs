//! The letters behind a pattern.

use super::Wrong;

/// The flags of a pattern.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) indices: bool,
    pub(crate) global: bool,
    pub(crate) ignore_case: bool,
    pub(crate) multiline: bool,
    pub(crate) dot_all: bool,
    pub(crate) unicode: bool,
    pub(crate) sticky: bool,
}

impl Flags {
    pub(crate) fn parse(letters: &str) -> Result<Flags, Wrong> {
        let mut flags = Flags::default();
        for (at, letter) in letters.char_indices() {
            let wrong = |code, message: String, hint| Wrong {
                code,
                message,
                start: at,
                end: at + letter.len_utf8(),
                hint,
            };
            let flag = match letter {
                'd' => &mut flags.indices,
                'g' => &mut flags.global,
                'i' => &mut flags.ignore_case,
                'm' => &mut flags.multiline,
                's' => &mut flags.dot_all,
                'u' => &mut flags.unicode,
                'y' => &mut flags.sticky,
                'v' => {
                    let message = "the flag `v` is not part of the language".to_owned();
                    let hint = Some("use `u`; write set operations as several tests");
                    return Err(wrong("UNSUPPORTED_REGEX_FLAG", message, hint));
                }
                _ => {
                    let message = "there is no such flag of a regular expression".to_owned();
                    let hint = Some("the flags are d, g, i, m, s, u and y");
                    return Err(wrong("SYNTAX_REGEX", message, hint));
                }
            };
            if *flag {
                let message = format!("the flag `{letter}` stands twice");
                return Err(wrong("SYNTAX_REGEX", message, None));
            }
            *flag = true;
        }
        Ok(flags)
    }

    /// The letters in the order of `flags`.
    pub(crate) fn letters(self) -> String {
        let all = [
            ('d', self.indices),
            ('g', self.global),
            ('i', self.ignore_case),
            ('m', self.multiline),
            ('s', self.dot_all),
            ('u', self.unicode),
            ('y', self.sticky),
        ];
        all.iter()
            .filter(|(_, set)| *set)
            .map(|(letter, _)| *letter)
            .collect()
    }
}
