//! `split` at what a pattern matches.

use super::Outcome;
use crate::{machine::Machine, regex::Regex, value::Val};

/// The parts between matches, with the groups of each match between them; at most `limit`.
pub(super) fn split<'a>(
    m: &mut Machine<'a>,
    this: Val<'a>,
    regex: Regex<'a>,
    limit: usize,
) -> Outcome<'a> {
    let searched = m.searched(regex, this)?;
    let mut list = m.list(0)?;
    if limit == 0 {
        return m.array(list);
    }
    let len = searched.subject.len();
    if len == 0 {
        // A text of nothing is one part, unless the pattern matches nothing.
        if !searched.find(m, 0, true, 0)? {
            list.push(m, searched.value)?;
        }
        return m.array(list);
    }
    // Where the part begins, and from where on the next match may.
    let (mut begin, mut from) = (0, 0);
    while from < len && searched.find(m, from, false, u32::MAX)? {
        let (start, end) = searched.whole(m);
        if start >= len {
            break;
        }
        if end == begin {
            from = searched.subject.after(start);
            continue;
        }
        m.walk(1 + regex.groups as usize)?;
        // The next search forgets the groups, so they are taken first.
        let part = searched.part(m, begin, start)?;
        list.push(m, part)?;
        for group in 1..regex.groups {
            if list.len() == limit {
                break;
            }
            let value = searched.group_value(m, group)?;
            list.push(m, value)?;
        }
        if list.len() == limit {
            return m.array(list);
        }
        (begin, from) = (end, end);
    }
    let part = searched.part(m, begin, len)?;
    list.push(m, part)?;
    m.array(list)
}
