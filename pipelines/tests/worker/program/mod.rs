//! The program stage with a source that the test plays: what viewers get while a camera comes,
//! goes, changes and comes back.

pub mod camera;
mod scenarios;
pub mod stage;
