//! Source or slate: the decision, from what the source tells and how long it is silent.

use stentor_protocol::SourceState;

use crate::program::time::ProgramTime;

/// How long a starting channel waits for its source before it shows the slate.
const FIRST_PICTURE_MS: u64 = 500;
/// How long a source that is called live may be without a picture: a shared screen that doesn't
/// move sends one every few seconds.
const NO_PICTURE_MS: u64 = 5_000;

#[derive(Debug)]
pub struct Selector {
    /// Shown where there is no source; without it nothing is.
    has_slate: bool,
    state: SourceState,
    showing: Showing,
    last_picture: ProgramTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Showing {
    /// Nothing: the channel starts, or there is no source and no slate.
    Nothing,
    Source,
    Slate,
}

// === impl Selector ===

impl Selector {
    pub fn new(has_slate: bool, now: ProgramTime) -> Self {
        let (state, showing) = (SourceState::Connecting, Showing::Nothing);
        Self { has_slate, state, showing, last_picture: now }
    }

    pub fn showing(&self) -> Showing {
        self.showing
    }

    pub fn state(&self) -> SourceState {
        self.state
    }

    pub fn handle_state(&mut self, state: SourceState) {
        self.state = state;
        match (state, self.showing) {
            (SourceState::Live, _) | (SourceState::Connecting, Showing::Nothing) => {}
            _ => self.showing = self.stand_in(),
        }
    }

    /// A picture came. Gives whether it is shown: a source is come back to at a keyframe.
    pub fn handle_picture(&mut self, keyframe: bool, now: ProgramTime) -> bool {
        if self.state == SourceState::Live && keyframe {
            self.showing = Showing::Source;
        }
        let shown = self.showing == Showing::Source;
        if shown {
            self.last_picture = now;
        }
        shown
    }

    pub fn handle_time(&mut self, now: ProgramTime) {
        let patience = match self.showing {
            Showing::Nothing => FIRST_PICTURE_MS,
            Showing::Source => NO_PICTURE_MS,
            Showing::Slate => return,
        };
        if now >= self.last_picture.plus_ms(patience) {
            self.showing = self.stand_in();
        }
    }

    fn stand_in(&self) -> Showing {
        if self.has_slate { Showing::Slate } else { Showing::Nothing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: ProgramTime = ProgramTime(50_000_000_000);

    fn live() -> Selector {
        let mut selector = Selector::new(true, START);
        selector.handle_state(SourceState::Live);
        assert!(selector.handle_picture(true, START));
        selector
    }

    #[test]
    fn without_a_slate_nothing_stands_in_for_a_source() {
        let mut selector = Selector::new(false, START);
        selector.handle_time(START.plus_ms(60_000));
        assert_eq!(selector.showing(), Showing::Nothing);
        selector.handle_state(SourceState::Live);
        assert!(selector.handle_picture(true, START));
        selector.handle_state(SourceState::Lost);
        assert_eq!(selector.showing(), Showing::Nothing);
        selector.handle_state(SourceState::Live);
        assert!(!selector.handle_picture(false, START));
        assert!(selector.handle_picture(true, START));
        assert_eq!(selector.showing(), Showing::Source);
    }

    #[test]
    fn a_source_that_starts_at_once_is_shown_without_a_slate() {
        let mut selector = Selector::new(true, START);
        selector.handle_state(SourceState::Connecting);
        selector.handle_time(START.plus_ms(499));
        assert_eq!(selector.showing(), Showing::Nothing);
        selector.handle_state(SourceState::Live);
        assert!(selector.handle_picture(true, START.plus_ms(499)));
        assert_eq!(selector.showing(), Showing::Source);
    }

    #[test]
    fn a_source_that_takes_its_time_is_waited_for_with_a_slate() {
        let mut selector = Selector::new(true, START);
        selector.handle_time(START.plus_ms(500));
        assert_eq!(selector.showing(), Showing::Slate);
    }

    #[test]
    fn every_state_but_live_shows_the_slate() {
        for state in [SourceState::Waiting, SourceState::Connecting, SourceState::Lost] {
            let mut selector = live();
            selector.handle_state(state);
            assert_eq!(selector.showing(), Showing::Slate, "{state:?}");
            assert!(!selector.handle_picture(true, START), "{state:?}");
        }
    }

    #[test]
    fn a_source_is_come_back_to_at_a_keyframe() {
        let mut selector = live();
        selector.handle_state(SourceState::Lost);
        selector.handle_state(SourceState::Live);
        assert!(!selector.handle_picture(false, START));
        assert!(selector.handle_picture(true, START));
        assert!(selector.handle_picture(false, START));
    }

    #[test]
    fn a_live_source_without_pictures_is_given_up_after_five_seconds() {
        let mut selector = live();
        selector.handle_time(START.plus_ms(4_999));
        assert_eq!(selector.showing(), Showing::Source);
        selector.handle_time(START.plus_ms(5_000));
        assert_eq!(selector.showing(), Showing::Slate);
    }
}
