//! Reads YAML 1.2 into a tree with places. Definitions use the part of YAML that is JSON with fewer
//! quotes: no tags, anchors, aliases or several documents.

use crate::{
    Diagnostic, codes,
    limits::MAX_MENDS,
    problems::Problems,
    tree::Tree,
    yaml_reader::{Reader, Stop, anchor_problem, property, too_deep},
    yaml_trap::{Trap, after_error, mend},
};

/// What the reader found: a tree, if there is a document that can be read to its end.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Option<Tree> {
    // An unquoted expression derails YAML. It is reported, mended in a copy of the same length and
    // the copy is read again, so that the problems behind it are found too.
    let mut mended = text.to_owned();
    let mut traps: Vec<Trap> = Vec::new();
    let mut guess: Option<(usize, Diagnostic)> = None;
    loop {
        let mut found = Problems::default();
        let trap = match Reader::new(&mended, &mut found).read() {
            Ok(tree) => {
                report(text, &traps, found, problems);
                return tree;
            }
            Err(Stop::Limit) => None,
            Err(Stop::Trap(trap)) => {
                guess = None;
                Some(trap)
            }
            Err(Stop::Syntax {
                at,
                from,
                open,
                info,
            }) => {
                let trap = after_error(&mended, from.min(at)..from.max(at));
                let problem = syntax(text, at, open, &info);
                // A mend that does not lead further was a wrong guess: the first word stands.
                if let Some((last, first)) = guess.take()
                    && at <= last
                {
                    traps.pop();
                    found.push(first);
                    None
                } else if trap.as_ref().is_none_or(|trap| known(&traps, trap)) {
                    found.push(problem);
                    None
                } else {
                    guess = Some((at, problem));
                    trap
                }
            }
        };
        match trap {
            Some(trap) if !known(&traps, &trap) && traps.len() < MAX_MENDS => {
                mend(&mut mended, &trap.value);
                traps.push(trap);
            }
            _ => {
                report(text, &traps, found, problems);
                return None;
            }
        }
    }
}

fn known(traps: &[Trap], trap: &Trap) -> bool {
    traps
        .iter()
        .any(|known| known.value.start == trap.value.start)
}

/// Hands on what was found, the traps before what the last reading found.
fn report(text: &str, traps: &[Trap], found: Problems, problems: &mut Problems) {
    for trap in traps {
        problems.push(trap.diagnostic(text));
    }
    for diagnostic in found.finish() {
        problems.push(diagnostic);
    }
}

fn syntax(text: &str, at: usize, open: Option<usize>, info: &str) -> Diagnostic {
    // The place is one in the mended text, and may be within a character of this one.
    let at = text.floor_char_boundary(at);
    // The scanner has a limit of its own, which brackets without an end reach first.
    if info.contains("recursion limit") {
        return too_deep(at..at);
    }
    if info.contains("unknown anchor") {
        let start = text[..at].rfind('*').unwrap_or(at);
        return anchor_problem(property(text, &(start..start), '*'));
    }
    // The end of the file has no line to draw; the last thing in it has.
    let at = if text[at..].trim().is_empty() {
        text.trim_end().len()
    } else {
        at
    };
    let (start, end) = match text[at..].chars().next() {
        Some(c) if !c.is_whitespace() && !text[..at].ends_with('\t') => (at, at + c.len_utf8()),
        _ => {
            let before = text[..at].chars().next_back().map_or(0, char::len_utf8);
            (at - before, at)
        }
    };
    let hint = if text[start..].starts_with('\t') || info.contains("tab") {
        "indent with spaces; YAML allows no tabs there"
    } else if info.contains("mapping values are not allowed") {
        "quote the value if it holds `: `, and check the indentation"
    } else {
        "check the indentation, brackets and quotes here and on the line above"
    };
    let problem = Diagnostic::error(codes::SYNTAX, "", format!("this is not YAML: {info}"))
        .span(start..end)
        .hint(hint);
    match open {
        Some(open) => problem.related_span(open..open + 1, "this bracket is open"),
        None => problem,
    }
}
