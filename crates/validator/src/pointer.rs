//! JSON pointers (RFC 6901).

/// Runs `f` with `key` appended to the pointer.
pub(crate) fn below<T>(pointer: &mut String, key: &str, f: impl FnOnce(&mut String) -> T) -> T {
    let len = pointer.len();
    pointer.push('/');
    pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    let result = f(pointer);
    pointer.truncate(len);
    result
}

/// Whether `place` is `root` or stands below it.
pub(crate) fn within(place: &str, root: &str) -> bool {
    place
        .strip_prefix(root)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_alike_is_not_below() {
        assert!(within("/a/b", "/a") && within("/a", "/a") && within("/a", ""));
        assert!(!within("/ab", "/a") && !within("/a", "/a/b"));
        assert_eq!(
            below(&mut "/x".to_owned(), "a/b~", |p| p.clone()),
            "/x/a~1b~0"
        );
    }
}
