//! Patterns from a seed, over texts that hold what patterns are about: letters with a case, line
//! ends, word characters, pairs and halves of them.

use super::tree::Choice;

/// Characters as they stand in a text literal; most patterns of a few of them match.
const TEXT: &[&str] = &[
    "a", "a", "a", "b", "b", "A", "B", "1", "_", "-", " ", "\\n", "\\r", "\\u2028", "é", "É", "ß",
    "ſ", "\\u212a", "k", "σ", "ς", "😀", "😁", "\\ud83d", "\\ude00",
];

/// What a pattern takes, one character at most.
const ATOMS: &[&str] = &[
    "a",
    "a",
    "a",
    "b",
    "b",
    "A",
    "1",
    "_",
    "é",
    "ß",
    "k",
    "σ",
    "s",
    "😀",
    ".",
    ".",
    "\\d",
    "\\w",
    "\\s",
    "\\D",
    "\\W",
    "\\S",
    "[ab]",
    "[^a]",
    "[a-z]",
    "[^a-z]",
    "[\\w-]",
    "[^\\W]",
    "[\\s\\S]",
    "[^]",
    "[😀b]",
    "[^😀]",
    "\\ud83d",
    "\\ude00",
    "\\ud83d\\ude00",
    "\\u{61}",
    "\\x61",
    "\\101",
    "[\\b]",
    "\\p{L}",
    "\\P{Lu}",
    "[\\p{Ll}1]",
    "[\\d-a]",
    "]",
    "}",
    "\\cJ",
    "\\-",
    "\\n",
];

const ASSERTIONS: &[&str] = &["^", "$", "\\b", "\\B"];

const QUANTIFIERS: &[&str] = &[
    "*", "*", "+", "?", "*?", "+?", "??", "{2}", "{0,2}", "{1,}", "{1,2}?", "{0}", "{,2}", "{2,}",
];

const FLAGS: &[&str] = &[
    "", "", "", "i", "m", "s", "u", "iu", "y", "im", "su", "d", "imsu",
];

/// What is asked, with the pattern as `R`, one that has the flag `g` as `G`, and the text as `T`.
const QUESTIONS: &[&str] = &[
    "R.exec(T)",
    "R.test(T)",
    "(m => m && [m.index, m.length, { ...m.groups }])(R.exec(T))",
    "T.match(G)",
    "T.search(R)",
    "[...T.matchAll(G)].map(m => [m.index, ...m])",
    "T.replace(R, '<$&|$1|$2|$<n>|$`|$\\'>')",
    "T.replace(G, '<$1$&>')",
    "T.replace(G, (...all) => JSON.stringify(all))",
    "T.replaceAll(G, '')",
    "T.split(R)",
    "T.split(R, 3)",
    "R.exec(T)?.indices",
];

struct Maker<'c> {
    choice: &'c mut Choice,
    named: bool,
}

impl Maker<'_> {
    fn of(&mut self, list: &[&'static str]) -> &'static str {
        list[self.choice.below(list.len())]
    }

    fn pattern(&mut self, depth: usize) -> String {
        let alternatives = 1 + usize::from(self.choice.below(4) == 0);
        let all: Vec<String> = (0..alternatives).map(|_| self.sequence(depth)).collect();
        all.join("|")
    }

    fn sequence(&mut self, depth: usize) -> String {
        (0..self.choice.below(4))
            .map(|_| self.term(depth))
            .collect()
    }

    fn term(&mut self, depth: usize) -> String {
        if self.choice.below(8) == 0 {
            return self.of(ASSERTIONS).to_owned();
        }
        let part = match self.choice.below(3) {
            0 if depth > 0 => {
                let open = match self.choice.below(4) {
                    0 => "(?:",
                    1 if !self.named => {
                        self.named = true;
                        "(?<n>"
                    }
                    _ => "(",
                };
                format!("{open}{})", self.pattern(depth - 1))
            }
            _ => self.of(ATOMS).to_owned(),
        };
        match self.choice.below(3) {
            0 => part + self.of(QUANTIFIERS),
            _ => part,
        }
    }
}

/// Questions that V8 answers otherwise than ECMA-262 with the flag `u`: a group that takes no part
/// reaches the callback as a text of nothing, and `split` looks for matches inside pairs.
fn is_open(question: &str, flags: &str) -> bool {
    flags.contains('u') && (question.contains("...all") || question.contains("split"))
}

/// Whether V8 may find `\B` where ECMA-262 does not: with the flag `u` its `RegExpBuiltinExec` goes
/// on by characters, and V8 by units, so that it also looks between the halves of a pair.
fn looks_inside_pairs(pattern: &str, flags: &str, text: &str) -> bool {
    let pairs = ["😀", "😁", "\\ud83d\\ude00"];
    flags.contains('u') && pattern.contains("\\B") && pairs.iter().any(|pair| text.contains(pair))
}

/// The expression of one case of one run.
pub(crate) fn case(seed: u64, case: u64) -> String {
    let mut choice = Choice::new(seed, case);
    let mut maker = Maker {
        choice: &mut choice,
        named: false,
    };
    let mut pattern = match maker.pattern(3) {
        nothing if nothing.is_empty() => "(?:)".to_owned(),
        pattern => pattern,
    };
    let flags = maker.of(FLAGS);
    let len = maker.choice.below(9);
    let text: String = (0..len).map(|_| maker.of(TEXT)).collect();
    if looks_inside_pairs(&pattern, flags, &text) {
        pattern = pattern.replace("\\B", "\\b");
    }
    let question = loop {
        let question = maker.of(QUESTIONS);
        if !is_open(question, flags) {
            break question;
        }
    };
    // One pass, for a pattern or text may hold these letters too.
    let parts = question.chars().map(|c| match c {
        'R' => format!("/{pattern}/{flags}"),
        'G' => format!("/{pattern}/g{flags}"),
        'T' => format!("'{text}'"),
        other => other.to_string(),
    });
    parts.collect()
}
