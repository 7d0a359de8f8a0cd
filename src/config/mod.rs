//! One configuration file, in TOML. What is wrong is said with file, line and what was expected.

use std::path::{Path, PathBuf};

mod accounts;
mod analytics;
mod calls;
mod check;
mod directory;
mod events;
mod kafka;
mod locate;
mod outside;
mod recording;
mod schema;
mod turn;
mod units;
mod worker;

pub use self::accounts::{Accounts, Asked, SignUp};
pub use self::analytics::Analytics;
pub use self::calls::Calls;
pub use self::directory::Directory;
pub use self::events::Events;
pub use self::kafka::{Kafka, Security};
pub use self::recording::{
    Creator, Form, Mail, MailSecurity, ObjectStore, Recording, Webhook, Who,
};
pub use self::schema::{
    Access, BackendChoice, Channel, Config, Fanout, Hardware, Http, Ice, IceServer, Ladder, Log,
    LogFormat, Rung, Server, Whip,
};
pub use self::turn::Turn;
pub use self::units::{BitRate, Period, PortRange, Size, UnitError};
pub use self::worker::Worker;

/// Why a configuration was refused. It is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: can't be read: {error}", file.display())]
    Read { file: PathBuf, error: std::io::Error },
    #[error("{}:{line}:{column}: {message}", file.display())]
    Invalid { file: PathBuf, line: usize, column: usize, message: String },
    /// There is no file to point into.
    #[error("{key}: {message}")]
    Default { key: String, message: String },
}

/// A value that parses, but can't be meant. `key` is its path, such as `http.listen.1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub key: String,
    pub message: String,
}

// === impl Config ===

impl Config {
    /// Reads and checks a file.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file)
            .map_err(|error| ConfigError::Read { file: file.to_owned(), error })?;
        Self::parse(&text, file)
    }

    /// Checks a file's text. `file` is named in errors.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let invalid = |offset: usize, message: String| {
            let (line, column) = locate::line_and_column(text, offset);
            ConfigError::Invalid { file: file.to_owned(), line, column, message }
        };
        let config: Self =
            toml::from_str(text).map_err(|e| invalid(locate::error(text, &e), message_of(&e)))?;
        match check::check(&config).into_iter().next() {
            Some(fault) => Err(invalid(locate::key(text, &fault.key), fault.message)),
            None => Ok(config),
        }
    }

    /// Checks a configuration that came from no file.
    pub fn check(self) -> Result<Self, ConfigError> {
        match check::check(&self).into_iter().next() {
            Some(Fault { key, message }) => Err(ConfigError::Default { key, message }),
            None => Ok(self),
        }
    }
}

/// The parser's message on one line.
fn message_of(error: &toml::de::Error) -> String {
    error.message().trim().replace('\n', ", ")
}

#[cfg(test)]
mod tests;
