//! What must hold for any text that is taken for an expression.

use nebula_expression::{Place, Program, cursor, is_unfinished};

use crate::program::{MODES, compile, placed};

/// Any bytes compile to a program, or to errors that lie in the text.
pub(crate) fn parse(bytes: &[u8]) {
    let source = &*String::from_utf8_lossy(bytes);
    for mode in MODES {
        match compile(source, mode) {
            Ok(program) => {
                assert_eq!(program.source(), source);
                assert!(!is_unfinished(source), "{source}");
                for node in &program.report().nodes {
                    for span in &node.spans {
                        assert!(source.get(span.start..span.end).is_some(), "{source}");
                    }
                }
                let portable = serde_json::to_string(&program).unwrap();
                let again: Program = serde_json::from_str(&portable).unwrap();
                assert_eq!(again, program, "{source}");
            }
            Err(errors) => {
                assert!(!errors.is_empty(), "{source}");
                assert!(errors.is_sorted_by_key(|error| (error.start, error.end)));
                errors.iter().for_each(|error| placed(source, error));
            }
        }
    }
}

/// What is being written at any place lies in the text.
pub(crate) fn complete(bytes: &[u8]) {
    let source = &*String::from_utf8_lossy(bytes);
    // Each place is parsed for anew; long texts are asked at their ends.
    let places = (0..=source.len()).rev().take(3);
    for at in places.chain((0..=source.len()).take(3)) {
        let Some(found) = cursor(source, at) else {
            continue;
        };
        assert_eq!(found.word.end, at, "{source}");
        assert!(source.get(found.word.clone()).is_some(), "{source}");
        if let Place::Member(member) = found.place {
            assert!(member.link.start <= found.word.start, "{source}");
            assert!(source.get(member.link).is_some(), "{source}");
        }
    }
}
