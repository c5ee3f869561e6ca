//! What a user's canister must hold, outside of the canisters.

use decant_user_model::{self as model, UserState};

/// A user's state as what was done to it. The state itself is made when it is looked at: ten thousand of them would
/// take gigabytes.
#[derive(Debug, Clone, Default)]
pub struct Model {
    fills: Vec<(u64, u32)>,
    posts: Vec<String>,
}

impl Model {
    /// Adds content from a seed, about that many KiB; answers how many items. Comes before all posts.
    pub fn fill(&mut self, seed: u64, kib: u32) -> u64 {
        let mut state = self.state();
        self.fills.push((seed, kib));
        model::actions::fill(&mut state, seed, kib)
    }

    /// Adds a post; answers its id.
    pub fn post(&mut self, text: String) -> u64 {
        let id = model::actions::post(&mut self.state(), text.clone());
        self.took_post(text);
        id
    }

    /// Adds a post whose id nobody asks for.
    pub fn took_post(&mut self, text: String) {
        self.posts.push(text);
    }

    /// The state.
    pub fn state(&self) -> UserState {
        let mut state = UserState::default();
        for (seed, kib) in &self.fills {
            model::actions::fill(&mut state, *seed, *kib);
        }
        for text in &self.posts {
            model::actions::post(&mut state, text.clone());
        }
        state
    }
}
