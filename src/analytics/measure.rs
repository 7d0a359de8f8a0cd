//! What is counted, and by what. Numbers are those of the database: one that was released keeps
//! its meaning.

/// A count with a sum beside it, a minute each. Labels `a` and `b` are words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Measure {
    /// By type.
    Events = 1,
    /// The sum is how many.
    EventsLost = 2,

    Started = 10,
    Invited = 11,
    Answered = 12,
    /// How an invitation ended without an answer: `declined`, `cancelled`, `busy`, or why nobody
    /// answered.
    Unanswered = 13,
    /// By class of milliseconds.
    AnswerTime = 14,
    /// First media came. By class of milliseconds since the answer.
    SetUpTime = 15,
    /// By reason; the sum is milliseconds.
    Ended = 16,
    /// By how.
    Joined = 17,
    /// Mesh or server, each time that it changes.
    Topology = 18,
    /// From one way to another: words such as `direct`; by cause.
    PathChanged = 19,

    /// What broke off (`call`, `device`, `viewer`, `channel`), by cause.
    Dropped = 30,
    /// By cause.
    Configured = 31,
    /// Of video that was agreed on.
    Codec = 32,

    /// Reports of one direction by way: `direct`, `relayed`, `server`.
    Way = 40,
    /// Of what is received, by dimension and value. Sums of bits a second, and so on.
    Bitrate = 41,
    /// Rows of the picture.
    Height = 42,
    /// Permille of time.
    Frozen = 43,
    /// Permille of packets.
    Loss = 44,
    /// Milliseconds.
    RoundTrip = 45,
    /// Of what is received: the class of the picture's size, such as `720p`.
    Size = 46,

    /// By channel and rendition that was asked for.
    ViewerJoined = 60,
    /// By channel and rendition seen last; the sum is milliseconds.
    ViewerLeft = 61,
    /// By country.
    ViewerCountry = 62,
    /// By channel and what happened.
    Channel = 63,

    /// By what happened.
    Recording = 70,
}

/// How many there are at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Gauge {
    Calls = 1,
    /// By channel and rendition seen last.
    Viewers = 2,
}

/// Which users are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Crowd {
    /// Whoever did anything.
    Users = 1,
    /// Whoever was in a call.
    Callers = 2,
}

/// What words are about. Each has a bound: past it every new word counts as `other`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Dimension {
    Country = 1,
    Device = 2,
    Network = 3,
    Browser = 4,
    Codec = 5,
    Rendition = 6,
    Channel = 7,
    /// Of this code: causes, reasons, ways, names of dimensions.
    Word = 8,
    /// Types of events.
    Kind = 9,
}

// === impl Dimension ===

impl Dimension {
    /// Words at most, `other` not counted.
    pub const fn bound(self) -> usize {
        match self {
            // ISO 3166-1 has 249.
            Self::Country => 260,
            Self::Device | Self::Network => 8,
            Self::Browser | Self::Codec => 16,
            Self::Rendition => 32,
            Self::Channel => 256,
            Self::Word => 200,
            Self::Kind => 100,
        }
    }

    pub const ALL: [Self; 9] = [
        Self::Country,
        Self::Device,
        Self::Network,
        Self::Browser,
        Self::Codec,
        Self::Rendition,
        Self::Channel,
        Self::Word,
        Self::Kind,
    ];
}
