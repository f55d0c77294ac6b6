//! The tokens that wait on one connection.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Token;

/// A queue of tokens. The first stands in the queue itself: most connections never have a second, and
/// each has one in every execution. JSON: a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Queue {
    first: Option<Token>,
    /// What came after it; empty without a first.
    rest: VecDeque<Token>,
}

impl Queue {
    pub(crate) fn push(&mut self, token: Token) {
        match self.first {
            None => self.first = Some(token),
            Some(_) => self.rest.push_back(token),
        }
    }

    pub(crate) fn pop(&mut self) -> Option<Token> {
        let first = self.first?;
        self.first = self.rest.pop_front();
        Some(first)
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

impl Serialize for Queue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.first.iter().chain(&self.rest))
    }
}

impl<'de> Deserialize<'de> for Queue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut rest = VecDeque::deserialize(deserializer)?;
        let first = rest.pop_front();
        // What is left of a single one would hold its room for as long as the queue.
        let rest = match rest.is_empty() {
            true => VecDeque::new(),
            false => rest,
        };
        Ok(Self { first, rest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(source: u32) -> Token {
        Token { live: true, source }
    }

    #[test]
    fn tokens_leave_in_the_order_in_which_they_came_and_read_back() {
        let mut queue = Queue::default();
        for round in 0..3 {
            for source in 0..=round {
                queue.push(token(source));
                assert_eq!(queue.len(), source as usize + 1);
                let text = serde_json::to_string(&queue).unwrap();
                assert_eq!(serde_json::from_str::<Queue>(&text).unwrap(), queue);
            }
            for source in 0..=round {
                assert!(!queue.is_empty());
                assert_eq!(queue.pop(), Some(token(source)));
            }
            assert_eq!(
                (queue.pop(), queue.len(), queue.is_empty()),
                (None, 0, true)
            );
        }
        assert_eq!(serde_json::to_string(&queue).unwrap(), "[]");
        queue.push(token(1));
        queue.push(token(2));
        queue.clear();
        assert_eq!(queue, Queue::default());
    }
}
