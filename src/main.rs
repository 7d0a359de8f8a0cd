//! The command line.

// This is the one place that talks to people on standard output.
#![allow(clippy::print_stdout)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use stentor::app::{self, worker_program};
use stentor::calls::ids::{DeviceId, UserId};
use stentor::config::{Config, Period};
use stentor::http::access::{self, Role};
use stentor::load::{self, cli::LoadCommand};
use stentor::telemetry::log;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(version, about = "Live media server: cameras in, renditions out, viewers watching")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    ///
    /// SIGTERM drains it: new viewers are refused, those who watch are told to leave, and it
    /// ends when they have left or `server.drain_grace` is over. A second signal ends it at once.
    /// SIGHUP makes it read its TLS certificate again.
    Serve(Serve),
    /// Read events into reports, and serve them
    ///
    /// What a running server does itself unless `analytics.enabled` is false. Reads what is in
    /// Kafka, of all servers, where `events.kafka` names brokers, else the log of events, from
    /// where it was left; and serves the page and the API of reports at `analytics.listen`.
    /// SIGTERM ends it.
    Analytics {
        /// TOML file, the server's own
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// The folder of a log, which is read then, and not Kafka. Default: that of the server
        #[arg(long, value_name = "FOLDER")]
        log: Option<PathBuf>,
    },
    /// Try every decoder and encoder of this machine
    ///
    /// Opens a session on each, in a process that may crash, and prints which work, how fast
    /// they are, and why the others don't. A running server does the same when it starts.
    Probe {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Check a configuration file and say what is wrong with it
    ///
    /// Names the file, the line and what was expected there. Keys and certificates that it points
    /// to are read too; nothing is started.
    CheckConfig {
        /// The TOML file; `-` is standard input
        file: PathBuf,
    },
    /// Make files of recordings that ended, beside the server or on another machine
    ///
    /// As many as wanted may run, each with the stores that the configuration names. They hear of
    /// recordings that ended from Kafka, as one group, or from the log of events of this machine,
    /// and look by themselves now and then. It runs until it is told to end; what it was at is then
    /// done by another.
    Archive {
        /// TOML file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Make keys, and sign tokens for publishers, viewers and administrators
    #[command(subcommand)]
    Token(Token),
    /// Watch as many viewers at once would, and say how it went
    #[command(subcommand)]
    Load(LoadCommand),
}

#[derive(Args)]
struct Serve {
    /// TOML file; without one the server listens on loopback only
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Add a channel with a synthetic camera
    #[arg(long)]
    demo: bool,
}

#[derive(Subcommand)]
enum Token {
    /// Make a pair of keys: the private one signs tokens, the public one goes into `access.keys`
    Keygen {
        /// Where the private key is written; the public one is written next to it, with `.pub`
        #[arg(value_name = "FILE")]
        private: PathBuf,
    },
    /// Sign a token and print it
    ///
    /// Clients send it as `Authorization: Bearer TOKEN`. It can't be taken back before it expires
    /// other than by removing the public key from `access.keys`.
    Mint {
        /// The private key that `stentor token keygen` made
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// What its holder may do
        #[arg(long)]
        role: RoleArgument,
        /// A channel's name, or `*` for all
        #[arg(long, value_name = "NAME", required_unless_present = "user")]
        channel: Option<String>,
        /// With the role user: who may call
        #[arg(long, value_name = "NAME", conflicts_with = "channel")]
        user: Option<String>,
        /// With the role user: the one device that may, instead of any
        #[arg(long, value_name = "NAME", requires = "user")]
        device: Option<String>,
        /// How long it is good, such as 1h or 30d
        #[arg(long = "for", value_name = "DURATION")]
        life: Period,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum RoleArgument {
    /// Send to the channel
    Publish,
    /// Watch the channel
    View,
    /// Everything on the channel; with channel `*` everything on the server
    Admin,
    /// Call others, and be called
    User,
    /// With channel `*`: read reports
    Analytics,
}

/// The state directory of the packaged units: all that they may write to.
const STATE: &str = "/var/lib/stentor";

/// How often more time is asked for while the server drains, after the first, and how much: enough
/// for what comes after the grace period, too.
const ASK: Duration = Duration::from_secs(10);
const MORE: Duration = Duration::from_secs(30);

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("stentor: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Serve(arguments) => serve(arguments),
        Command::Analytics { config, log } => analytics(config.as_deref(), log.as_deref()),
        Command::Probe { json } => probe(json),
        Command::CheckConfig { file } => check_config(&file),
        Command::Archive { config } => archive(&config),
        Command::Token(token) => make_token(token),
        Command::Load(command) => Ok(load::cli::main(command)),
    }
}

fn check_config(file: &Path) -> Result<ExitCode, Failure> {
    let config = if file == Path::new("-") {
        Config::parse(&std::io::read_to_string(std::io::stdin())?, Path::new("standard input"))?
    } else {
        Config::load(file)?
    };
    for (key, folder) in config.outside(Path::new(STATE)) {
        eprintln!(
            "stentor: `{key}` is outside of {STATE}: a service of systemd can write there only with \
             `ReadWritePaths={}` in a drop-in",
            folder.display()
        );
    }
    app::check(config)?;
    println!("{}: fine", file.display());
    Ok(ExitCode::SUCCESS)
}

fn serve(arguments: Serve) -> Result<ExitCode, Failure> {
    let config = match &arguments.config {
        Some(file) => Config::load(file)?,
        None => Config::default().check()?,
    };
    log::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run_until_signal(config, arguments.demo))?;
    Ok(ExitCode::SUCCESS)
}

fn archive(file: &Path) -> Result<ExitCode, Failure> {
    let config = Config::load(file)?;
    log::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        notify(&[sd_notify::NotifyState::Ready]);
        tokio::select! {
            ended = app::archive(config) => ended?,
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok::<_, Failure>(ExitCode::SUCCESS)
    })
}

fn analytics(config: Option<&Path>, log: Option<&Path>) -> Result<ExitCode, Failure> {
    let config = match config {
        Some(file) => Config::load(file)?,
        None => Config::default().check()?,
    };
    log::start(&config.log);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let alone = app::start_alone(config, log).await?;
        for address in alone.addresses() {
            tracing::info!("listening on http://{address}/");
        }
        notify(&[sd_notify::NotifyState::Ready]);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        notify(&[sd_notify::NotifyState::Stopping]);
        alone.stop().await;
        Ok(ExitCode::SUCCESS)
    })
}

async fn run_until_signal(config: Config, demo: bool) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let grace = config.server.drain_grace.0;
    let daemon = app::start(config, demo).await?;
    tracing::info!("listening on {}", daemon.url());
    if demo {
        println!("Stentor runs at {}", daemon.url());
    }
    notify(&[sd_notify::NotifyState::Ready]);
    let watchdog = sd_notify::watchdog_enabled().map(|period| tokio::spawn(watch(period / 2)));
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = hang_up.recv() => daemon.reload(),
        }
    }
    notify(&[sd_notify::NotifyState::Stopping, more_time()]);
    let again = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let asking = tokio::spawn(ask_for_time(grace));
    daemon.stop(again).await;
    asking.abort();
    if let Some(watchdog) = watchdog {
        watchdog.abort();
    }
    Ok(())
}

/// Tells the service manager that the runtime turns.
async fn watch(period: Duration) {
    let mut ticks = tokio::time::interval(period);
    loop {
        ticks.tick().await;
        notify(&[sd_notify::NotifyState::Watchdog]);
    }
}

/// Keeps the service manager from ending the server during the grace period, which may be longer
/// than the unit's time to stop.
async fn ask_for_time(grace: Duration) {
    let asking = async {
        loop {
            tokio::time::sleep(ASK).await;
            notify(&[more_time()]);
        }
    };
    // No longer: a server that hangs in the end is killed.
    let _ = tokio::time::timeout(grace, asking).await;
}

fn more_time() -> sd_notify::NotifyState<'static> {
    sd_notify::NotifyState::ExtendTimeoutUsec(u32::try_from(MORE.as_micros()).unwrap_or(u32::MAX))
}

fn notify(state: &[sd_notify::NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "the service manager can't be told");
    }
}

/// The worker has the drivers, so it does the asking and the printing.
fn probe(json: bool) -> Result<ExitCode, Failure> {
    let program = worker_program(None);
    let mut command = std::process::Command::new(&program);
    command.arg("probe").args(json.then_some("--json"));
    let status = command.status().map_err(|error| format!("{}: {error}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn make_token(token: Token) -> Result<ExitCode, Failure> {
    match token {
        Token::Keygen { private } => {
            let pair = access::generate_keys()?;
            let public = PathBuf::from(format!("{}.pub", private.display()));
            write_new(&private, &pair.private.0, 0o600)?;
            write_new(&public, &pair.public, 0o644)?;
            println!("private key {}, public key {}", private.display(), public.display());
        }
        Token::Mint { key, role, channel, user, device, life } => {
            let text = std::fs::read_to_string(&key)
                .map_err(|error| format!("{}: {error}", key.display()))?;
            let role = match role {
                RoleArgument::Publish => Role::Publish,
                RoleArgument::View => Role::View,
                RoleArgument::Admin => Role::Admin,
                RoleArgument::User => Role::User,
                RoleArgument::Analytics => Role::Analytics,
            };
            let token = match (role, channel, user) {
                (Role::User, None, Some(user)) => {
                    let device = device.as_deref().map(DeviceId::new).transpose()?;
                    access::mint_user(&text, UserId::new(&user)?, device, life.0)?
                }
                (Role::User, ..) => return Err("the role user goes with --user".into()),
                (_, Some(channel), None) => access::mint(&text, &channel, role, life.0)?,
                _ => return Err("--user goes with the role user alone".into()),
            };
            println!("{token}");
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Never writes over a key.
fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| format!("{}: {error}", path.display()).into())
}
