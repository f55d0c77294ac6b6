//! Approvals: what people are asked, what they say, and what follows from it.

use std::sync::Arc;

use nebula_core::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    InstanceId, MAX_SIGNAL_ID,
    codec::{MAX_VALUE_DEPTH, is_storable},
};

/// How many people an approval may name at most.
pub const MAX_APPROVERS: usize = 100;
/// How many votes an approval may need at most, for either side.
pub const MAX_QUORUM: u32 = 100;
/// The longest name of a person, in bytes.
pub const MAX_WHO_BYTES: usize = 200;
/// The longest comment of a vote, in bytes.
pub const MAX_COMMENT_BYTES: usize = 4 * 1024;
/// The longest title of an approval, in bytes.
pub const MAX_TITLE_BYTES: usize = 2 * 1024;
/// The largest artifact that an approval shows, as JSON, in bytes; what is larger is named by a reference.
pub const MAX_ARTIFACT_BYTES: usize = 64 * 1024;

/// What somebody says about an approval, and what becomes of it; also the port by which it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// Yes.
    Approve,
    /// No.
    Reject,
    /// Not now.
    Defer,
}

impl Choice {
    /// Its word, and its port.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Defer => "defer",
        }
    }

    /// The choice of this word.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        let all = [Self::Approve, Self::Reject, Self::Defer];
        all.into_iter().find(|choice| choice.as_str() == word)
    }
}

/// What an approval asks, of whom, and until when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// What is asked, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// What it is about: a value, or where to find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Arc<Value>>,
    /// Who may vote; anybody, if nobody is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// How many must approve.
    pub quorum: u32,
    /// How many must reject.
    pub rejections: u32,
    /// When the time for votes is over; absent if never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// What holds then; absent if that is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Choice>,
    /// Whether one who defers ends it, by the port `defer`; else it stays open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaves_deferred: bool,
}

/// What one person said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Who.
    pub by: String,
    /// What.
    pub choice: Choice,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Which of the seats it took, if a token was used: of named approvers their places, else a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<u32>,
    /// When it arrived.
    pub at: Timestamp,
}

/// An approval that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// What is asked.
    pub question: Question,
    /// Which asking of its instance this is, from 0: a retry asks again.
    pub round: u32,
    /// Votes for and against, in the order in which they came; one of each person.
    pub votes: Vec<Vote>,
    /// The latest vote to defer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred: Option<Vote>,
}

/// A place for one vote, for which there is one resume token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// Its number, from 0.
    pub number: u32,
    /// Whose it is; anybody's, if the approval names nobody.
    pub who: Option<String>,
}

/// A vote on its way to an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// About which instance.
    pub instance: InstanceId,
    /// Which asking of it: see [`Approval::round`].
    pub round: u32,
    /// Recognises a repetition.
    pub id: String,
    /// Who votes.
    pub by: String,
    /// What they say.
    pub choice: Choice,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Which seat the token was for, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seat: Option<u32>,
    /// When it arrived, by the store's clock; whoever reads the inbox says so.
    #[serde(skip)]
    pub at: Option<Timestamp>,
}

/// Why something is no ballot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BallotError {
    /// Nobody, or a name that is too long.
    #[error(
        "who votes is named by 1 to {MAX_WHO_BYTES} bytes without control characters, and without space around them"
    )]
    Who,
    /// A comment that is too long.
    #[error("the comment has {found} bytes; the limit is {MAX_COMMENT_BYTES}")]
    Comment {
        /// How many bytes it has.
        found: usize,
    },
    /// The id does not fit.
    #[error(
        "the id of a vote has 1 to {MAX_SIGNAL_ID} bytes, and none of them is a control character"
    )]
    Id,
}

/// Why a vote does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No approval is open there: it was decided, has expired, or is none.
    NotOpen,
    /// The approval names others.
    NotAnApprover,
    /// The same person has voted before, or the same token was used.
    VotedBefore,
}

/// Whether somebody may be called so in a journal.
#[must_use]
pub fn is_name_of_person(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_WHO_BYTES
        && name.trim() == name
        && !name.chars().any(char::is_control)
}

impl Ballot {
    /// Checks what somebody outside said.
    ///
    /// # Errors
    /// [`BallotError`]: a name, an id or a comment that no execution takes.
    pub fn check(&self) -> Result<(), BallotError> {
        if !is_name_of_person(&self.by) {
            return Err(BallotError::Who);
        }
        if self.id.is_empty()
            || self.id.len() > MAX_SIGNAL_ID
            || self.id.chars().any(char::is_control)
        {
            return Err(BallotError::Id);
        }
        let found = self.comment.as_ref().map_or(0, String::len);
        if found > MAX_COMMENT_BYTES {
            return Err(BallotError::Comment { found });
        }
        Ok(())
    }

    /// Recognises a repetition in the inbox of one execution.
    #[must_use]
    pub fn dedupe(&self) -> String {
        format!("vote:{}:{}:{}", self.instance, self.round, self.id)
    }
}

impl Approval {
    pub(crate) fn new(question: Question, round: u32) -> Self {
        Self {
            question,
            round,
            votes: Vec::new(),
            deferred: None,
        }
    }

    /// What enough people have said; `None` while more must.
    #[must_use]
    pub fn verdict(&self) -> Option<Choice> {
        let question = &self.question;
        if self.count(Choice::Approve) >= question.quorum {
            Some(Choice::Approve)
        } else if self.count(Choice::Reject) >= question.rejections {
            Some(Choice::Reject)
        } else if question.leaves_deferred && self.deferred.is_some() {
            Some(Choice::Defer)
        } else {
            None
        }
    }

    /// How many votes there are for or against.
    #[must_use]
    pub fn count(&self, choice: Choice) -> u32 {
        let votes = self.votes.iter().filter(|vote| vote.choice == choice);
        u32::try_from(votes.count()).unwrap_or(u32::MAX)
    }

    /// Who has voted so, in order.
    pub fn voters(&self, choice: Choice) -> impl Iterator<Item = &str> {
        let votes = self.votes.iter().filter(move |vote| vote.choice == choice);
        votes.map(|vote| vote.by.as_str())
    }

    /// Why this vote, arriving at `at`, does not count; `None` if it does.
    #[must_use]
    pub fn refusal(&self, ballot: &Ballot, at: Timestamp) -> Option<Refusal> {
        let question = &self.question;
        let late = question.due.is_some_and(|due| at >= due);
        if late || ballot.round != self.round || self.verdict().is_some() {
            return Some(Refusal::NotOpen);
        }
        let named = |who: &String| *who == ballot.by;
        if !question.approvers.is_empty() && !question.approvers.iter().any(named) {
            return Some(Refusal::NotAnApprover);
        }
        let used = |vote: &Vote| {
            vote.by == ballot.by || (ballot.seat.is_some() && vote.seat == ballot.seat)
        };
        self.votes.iter().any(used).then_some(Refusal::VotedBefore)
    }

    pub(crate) fn take(&mut self, vote: Vote) {
        match vote.choice {
            Choice::Defer => self.deferred = Some(vote),
            Choice::Approve | Choice::Reject => self.votes.push(vote),
        }
    }

    /// The places for votes that nobody has taken; none once it is decided.
    #[must_use]
    pub fn seats(&self) -> Vec<Seat> {
        if self.verdict().is_some() {
            return Vec::new();
        }
        let question = &self.question;
        let free = |seat: &Seat| {
            let took = |vote: &Vote| match &seat.who {
                Some(who) => vote.by == *who,
                None => vote.seat == Some(seat.number),
            };
            !self.votes.iter().any(took)
        };
        let named = question.approvers.iter().map(|who| Some(who.clone()));
        let seats: Vec<Option<String>> = if question.approvers.is_empty() {
            vec![None; question.quorum as usize]
        } else {
            named.collect()
        };
        let seats = (0..).zip(seats).map(|(number, who)| Seat { number, who });
        seats.filter(free).collect()
    }

    /// What became of it, and the result of its node: `{ decision, by, comment, at }`; by its default
    /// where nobody decided in time, and then with `expired`. `None` if there is no default.
    #[must_use]
    pub fn outcome(&self) -> Option<(Choice, Value)> {
        let question = &self.question;
        let Some(verdict) = self.verdict() else {
            let (choice, due) = (question.default?, question.due?);
            let result = json!({
                "decision": choice, "by": [], "comment": null, "at": due.to_string(), "expired": true,
            });
            return Some((choice, result));
        };
        let votes = self.votes.iter().chain(&self.deferred);
        let votes: Vec<_> = votes.filter(|vote| vote.choice == verdict).collect();
        let by: Vec<_> = votes.iter().map(|vote| vote.by.as_str()).collect();
        let last = votes.last()?;
        let result = json!({
            "decision": verdict, "by": by, "comment": last.comment, "at": last.at.to_string(),
        });
        Some((verdict, result))
    }
}

/// Why an approval cannot be asked like this: where in its parameters, and what is wrong.
pub(crate) type QuestionError = (&'static str, String);

impl Question {
    /// Checks what no schema can.
    pub(crate) fn check(&self) -> Result<(), QuestionError> {
        let wrong = |at, message: String| Err((at, message));
        if let Some(title) = self.title.as_ref().filter(|it| it.len() > MAX_TITLE_BYTES) {
            let found = title.len();
            let message = format!("`title` has {found} bytes; the limit is {MAX_TITLE_BYTES}");
            return wrong("/title", message);
        }
        if let Some(artifact) = &self.artifact {
            if !is_storable(artifact) {
                let message = format!("`artifact` is nested deeper than {MAX_VALUE_DEPTH} levels");
                return wrong("/artifact", message);
            }
            let found = artifact.to_string().len();
            if found > MAX_ARTIFACT_BYTES {
                let message = format!(
                    "`artifact` has {found} bytes; the limit is {MAX_ARTIFACT_BYTES}: say where it is instead"
                );
                return wrong("/artifact", message);
            }
        }
        self.check_people()
    }

    /// Enough can vote, and once all have, it is decided.
    fn check_people(&self) -> Result<(), QuestionError> {
        let people = &self.approvers;
        let count = u32::try_from(people.len()).unwrap_or(u32::MAX);
        if count as usize > MAX_APPROVERS {
            let message = format!("`approvers` names {count} people; the limit is {MAX_APPROVERS}");
            return Err(("/approvers", message));
        }
        for (place, who) in people.iter().enumerate() {
            if !is_name_of_person(who) {
                return Err(("/approvers", BallotError::Who.to_string()));
            }
            if people[..place].contains(who) {
                return Err(("/approvers", format!("`approvers` names `{who}` twice")));
            }
        }
        let (quorum, rejections) = (self.quorum, self.rejections);
        for (at, number) in [("/quorum", quorum), ("/rejections", rejections)] {
            if number == 0 || number > MAX_QUORUM {
                let name = at.trim_start_matches('/');
                return Err((at, format!("`{name}` is a number from 1 to {MAX_QUORUM}")));
            }
        }
        if count > 0 && quorum > count {
            let message = format!("`quorum` is {quorum}, and only {count} may vote");
            return Err(("/quorum", message));
        }
        if count > 0 && rejections > count - quorum + 1 {
            let message = format!(
                "with {count} approvers and a quorum of {quorum}, `rejections` is at most {}: else all may have voted and nothing is decided",
                count - quorum + 1
            );
            return Err(("/rejections", message));
        }
        if self.default.is_some() && self.due.is_none() {
            let message = "`default` is what holds when the time is over; say `expires` with it";
            return Err(("/default", message.to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question() -> Question {
        Question {
            title: None,
            artifact: None,
            approvers: Vec::new(),
            quorum: 1,
            rejections: 1,
            due: None,
            default: None,
            leaves_deferred: false,
        }
    }

    fn people(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("p{n}")).collect()
    }

    /// The place of what is wrong.
    #[track_caller]
    fn check(question: &Question, wrong: Option<&str>) {
        assert_eq!(question.check().err().map(|(at, _)| at), wrong);
    }

    #[test]
    fn a_question_may_have_each_limit_and_no_more() {
        for (over, wrong) in [(0, None), (1, Some("/title"))] {
            let title = Some("t".repeat(MAX_TITLE_BYTES + over));
            check(
                &Question {
                    title,
                    ..question()
                },
                wrong,
            );
        }
        for (over, wrong) in [(0, None), (1, Some("/artifact"))] {
            // With its quotes.
            let text = "a".repeat(MAX_ARTIFACT_BYTES - 2 + over);
            let artifact = Some(Arc::new(json!(text)));
            check(
                &Question {
                    artifact,
                    ..question()
                },
                wrong,
            );
        }
        for (over, wrong) in [(0, None), (1, Some("/approvers"))] {
            let approvers = people(MAX_APPROVERS + over);
            check(
                &Question {
                    approvers,
                    ..question()
                },
                wrong,
            );
        }
    }

    #[test]
    fn as_many_must_be_able_to_vote_as_must_agree() {
        let of = |count, quorum, rejections| Question {
            approvers: people(count),
            quorum,
            rejections,
            ..question()
        };
        check(&of(2, 2, 1), None);
        check(&of(2, 3, 1), Some("/quorum"));
        check(&of(2, 0, 1), Some("/quorum"));
        check(&of(2, 1, 3), Some("/rejections"));
        check(&of(2, 1, 0), Some("/rejections"));
    }

    #[test]
    fn ballots_are_told_apart_by_question_round_and_id() {
        let ballot = |instance: &str, round, id: &str| {
            let ballot = Ballot {
                instance: instance.parse().unwrap(),
                round,
                id: id.to_owned(),
                by: "ada".to_owned(),
                choice: Choice::Approve,
                comment: None,
                seat: None,
                at: None,
            };
            ballot.dedupe()
        };
        let keys = [
            ballot("a", 1, "x"),
            ballot("b", 1, "x"),
            ballot("a", 2, "x"),
            ballot("a", 1, "y"),
        ];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len(), "{keys:?}");
        assert_eq!(ballot("a", 1, "x"), keys[0]);
    }
}
