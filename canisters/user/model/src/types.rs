//! What a user has.

use candid::{CandidType, Principal};
use serde::{Deserialize, Serialize};

/// Who the user is.
#[derive(Debug, Clone, Default, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Profile {
    /// Name.
    pub name: String,
    /// A few sentences.
    pub bio: String,
    /// Where the picture is.
    pub picture_url: String,
}

/// Settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Config {
    /// Interface language.
    pub language: String,
    /// Whether messages may be sent to the user.
    pub is_open_to_messages: bool,
    /// Words that the user does not want to see.
    pub muted_words: Vec<String>,
}

/// What is neither post, follow nor history.
#[derive(Debug, Clone, Default, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Core {
    /// Who the user is.
    pub profile: Profile,
    /// Settings.
    pub config: Config,
    /// Tokens.
    pub balance: u128,
    /// Changes so far: it goes up with each.
    pub sequence: u64,
    /// Bytes of text in all posts.
    pub text_bytes: u64,
}

/// A post.
#[derive(Debug, Clone, Default, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Post {
    /// Number of the post, from 0 on without gaps.
    pub id: u64,
    /// What it says.
    pub text: String,
    /// How many liked it.
    pub likes: u64,
    /// When, by the sequence number.
    pub sequence: u64,
}

/// Somebody whom the user follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Follow {
    /// Whose canister.
    pub canister: Principal,
    /// Since when, by the sequence number.
    pub sequence: u64,
}

/// Which way tokens went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub enum Direction {
    /// To the user.
    Received,
    /// From the user.
    Paid,
}

/// A line of the token history.
#[derive(Debug, Clone, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub struct Entry {
    /// Number of the line, from 0 on without gaps.
    pub id: u64,
    /// Which way.
    pub direction: Direction,
    /// Tokens.
    pub amount: u128,
    /// What for.
    pub memo: String,
    /// Tokens afterwards.
    pub balance: u128,
    /// When, by the sequence number.
    pub sequence: u64,
}

/// Why tokens were not paid. Nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, CandidType, Serialize, Deserialize)]
pub enum PayError {
    /// There are not as many.
    TooFew {
        /// Tokens there are.
        balance: u128,
    },
}

impl std::fmt::Display for PayError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooFew { balance } => write!(formatter, "there are only {balance} tokens"),
        }
    }
}

impl std::error::Error for PayError {}
