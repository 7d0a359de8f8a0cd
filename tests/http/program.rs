//! The program itself, as a service manager, an operator and a client with TLS meet it.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Keys, PATIENCE, fake_worker};

/// A running `stentor serve` with its folder. Dropping it ends it.
struct Program {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

// === impl Program ===

impl Program {
    /// `http`: more lines of that table; `more`: further tables. `prepare` may write files into
    /// the folder, and change how the program is started.
    fn start(
        http: impl FnOnce(&Path) -> String,
        more: &str,
        prepare: impl FnOnce(&Path, &mut Command),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let text = format!(
            "[server]\nstate_directory = {path:?}\n[worker]\npath = {:?}\n\
             [fanout]\nshards = 1\nfirst_port = 0\n\
             [http]\nlisten = [\"127.0.0.1:{port}\"]\n{}\n{more}",
            fake_worker(),
            http(path),
        );
        let config = path.join("stentor.toml");
        fs::write(&config, text).unwrap();
        let mut command = stentor(&["serve", "--config"]);
        let log = File::create(path.join("log")).unwrap();
        command.arg(&config).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        prepare(path, &mut command);
        Self { child: command.spawn().unwrap(), folder, port }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until `ask` gives something.
    fn until<T>(&mut self, what: &str, mut ask: impl FnMut(&mut Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = ask(self) {
                return found;
            }
            assert!(Instant::now() < deadline, "not in time: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ended(&mut self) -> ExitStatus {
        self.until("it ends", |program| program.child.try_wait().unwrap())
    }

    /// curl at the server under the name that its certificate has.
    fn curl(&self, trusted: &Path, arguments: &[&str]) -> Output {
        Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "10", "--cacert"])
            .arg(trusted)
            .args(["--resolve", &format!("localhost:{}:127.0.0.1", self.port)])
            .args(["--output", "/dev/null", "--write-out", "%{http_version} %{response_code}"])
            .args(arguments)
            .arg(format!("https://localhost:{}/healthz", self.port))
            .output()
            .expect("curl: apt install curl")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stentor(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stentor"));
    command.args(arguments).env_remove("NOTIFY_SOCKET").env_remove("STENTOR_LOG");
    command
}

/// Writes a self-signed certificate and its key, and a copy of the certificate to trust.
fn certify(folder: &Path, trusted: &str) {
    let output = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"])
        .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.new"])
        .args(["-out", trusted])
        .current_dir(folder)
        .output()
        .expect("openssl: apt install openssl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    fs::copy(folder.join(trusted), folder.join("certificate.new")).unwrap();
    // As those who renew do: a reader never sees half a file.
    for name in ["certificate", "key"] {
        let new = folder.join(format!("{name}.new"));
        fs::rename(new, folder.join(format!("{name}.pem"))).unwrap();
    }
}

fn with_certificate(folder: &Path) -> String {
    certify(folder, "first.pem");
    format!(
        "tls_certificate = \"{0}/certificate.pem\"\ntls_key = \"{0}/key.pem\"",
        folder.display()
    )
}

/// Whether a server of TLS shows a certificate that is trusted by this one.
fn shows(address: SocketAddr, trusted: &Path) -> bool {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &address.to_string(), "-verify_return_error", "-CAfile"]);
    client.arg(trusted).stdin(Stdio::null());
    client.output().expect("openssl: apt install openssl").status.success()
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn certificates_are_served_over_http_1_and_2_and_read_again_when_they_change() {
    let turn = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relays = format!(
        "[turn]\nenabled = true\nlisten = []\ntls_listen = [\"{turn}\"]\nrelay_ports = \"any\"\n"
    );
    let mut program = Program::start(with_certificate, &relays, |_, _| {});
    let folder = program.folder.path().to_owned();
    let first = folder.join("first.pem");
    program.until("TLS is served", |p| {
        (said(&p.curl(&first, &["--http1.1"])) == "1.1 200").then_some(())
    });
    assert_eq!(said(&program.curl(&first, &["--http2"])), "2 200");
    assert_eq!(said(&program.curl(&first, &["--tlsv1.3"])), "2 200");
    assert!(shows(turn, &first));

    certify(&folder, "second.pem");
    let second = folder.join("second.pem");
    program.until("the files are seen to have changed", |p| {
        (said(&p.curl(&second, &[])) == "2 200").then_some(())
    });
    assert!(!program.curl(&first, &[]).status.success(), "the old one is not shown any more");
    program.until("TURN has seen it, too", |_| shows(turn, &second).then_some(()));
    assert!(!shows(turn, &first));

    // A file that is no certificate changes nothing, and is complained about.
    fs::write(folder.join("certificate.pem"), "nonsense").unwrap();
    program.signal(Signal::HUP);
    program.until("the complaint", |p| p.log().contains("stay in force").then_some(()));
    assert_eq!(said(&program.curl(&second, &[])), "2 200");

    certify(&folder, "third.pem");
    program.signal(Signal::HUP);
    let third = folder.join("third.pem");
    let began = Instant::now();
    program
        .until("the signal is heeded", |p| (said(&p.curl(&third, &[])) == "2 200").then_some(()));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn the_service_manager_hears_of_the_start_the_life_and_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut program = Program::start(
        |_| String::new(),
        "",
        |_, command| {
            command.env("NOTIFY_SOCKET", folder.path().join("notify"));
            command.env("WATCHDOG_USEC", "400000");
        },
    );
    let next = || {
        let mut bytes = [0; 512];
        let count = socket.recv(&mut bytes).expect("a word from the program");
        String::from_utf8_lossy(&bytes[..count]).trim().to_owned()
    };
    assert_eq!(next(), "READY=1");
    let began = Instant::now();
    for _ in 0..4 {
        assert_eq!(next(), "WATCHDOG=1");
    }
    // The first comes at once; then one each half of the time that it is given.
    assert!(began.elapsed() > Duration::from_millis(550), "{:?}", began.elapsed());
    program.signal(Signal::TERM);
    let last = std::iter::repeat_with(next).find(|word| word != "WATCHDOG=1");
    // Whoever drains for longer than the unit's time to stop isn't killed meanwhile.
    assert_eq!(last.as_deref(), Some("STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000"));
    assert!(program.ended().success());
}

#[test]
fn a_configuration_that_lets_everyone_in_from_everywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stentor.toml");
    fs::write(&file, "[http]\nlisten = [\"127.0.0.1:0\",\n  \"0.0.0.0:0\"]\n").unwrap();
    for command in [&["check-config"][..], &["serve", "--config"]] {
        let output = stentor(command).arg(&file).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("stentor.toml:3:3: 0.0.0.0:0 is not on loopback"), "{said}");
        assert!(said.contains("access.keys"), "{said}");
    }
}

#[test]
fn check_config_says_what_is_fine_and_finds_files_that_are_missing() {
    let output = stentor(&["check-config", "systemd/stentor.toml"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(said(&output), "systemd/stentor.toml: fine\n");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stentor.toml");
    for (text, expected) in [
        ("[access]\nkeys = [\"/nonexistent/key.pub\"]\n", "/nonexistent/key.pub: "),
        (
            "[http]\ntls_certificate = \"/nonexistent/c.pem\"\ntls_key = \"/nonexistent/k.pem\"\n",
            "/nonexistent/c.pem: ",
        ),
        (
            "[accounts.hook]\nurl = \"https://a/\"\nsecret_file = \"/nonexistent/secret\"\n",
            "/nonexistent/secret: ",
        ),
        (
            "[accounts.hook]\nurl = \"https://a/\"\nsecret_file = \"/dev/null\"\n",
            "/dev/null: expected a secret of 16 to 4096 bytes",
        ),
        (
            "[recording.files]\nbucket = \"b\"\ncredentials_file = \"/nonexistent/s3\"\n",
            "the store of files: /nonexistent/s3: ",
        ),
        (
            "[analytics]\ndump = true\n[analytics.dump_store]\nbucket = \"b\"\n\
             credentials_file = \"/nonexistent/s3\"\n",
            "the store of the dump: /nonexistent/s3: ",
        ),
    ] {
        fs::write(&file, text).unwrap();
        let output = stentor(&["check-config"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    // What the packaged units can't write to is said, and is no fault.
    fs::write(&file, "[recording.chunks]\nfolder = \"/srv/chunks\"\n").unwrap();
    let output =
        stentor(&["check-config", "-"]).stdin(fs::File::open(&file).unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("`ReadWritePaths=/srv/chunks`"), "{}", said(&output));
    let missing = stentor(&["check-config", "/nonexistent/stentor.toml"]).output().unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        said(&missing).contains("/nonexistent/stentor.toml: can't be read"),
        "{}",
        said(&missing)
    );
}

#[test]
fn every_command_explains_itself() {
    for (command, expected) in [
        ("", "serve"),
        ("serve", "--config <FILE>"),
        ("probe", "--json"),
        ("check-config", "<FILE>"),
        ("token", "mint"),
        ("token keygen", "<FILE>"),
        ("token mint", "--for <DURATION>"),
        ("load", "whep"),
        ("load whep", "--viewers <N>"),
        ("load call", "--cameras <N>"),
    ] {
        let words: Vec<&str> = command.split_whitespace().collect();
        let output = stentor(&words).arg("--help").output().unwrap();
        let text = said(&output);
        assert!(output.status.success() && text.contains(expected), "{command}: {text}");
        // An entry's description stands beside it, or on the next line.
        let lines: Vec<&str> = text.lines().collect();
        let is_entry = |line: &str| {
            let words = line.trim_start();
            let indent = line.len() - words.len();
            (1..8).contains(&indent)
                && words.starts_with(|c: char| c.is_alphanumeric() || "-<[".contains(c))
        };
        let section = lines.iter().position(|line| line.ends_with(':')).unwrap_or_default();
        for (index, line) in lines.iter().enumerate().skip(section).filter(|(_, l)| is_entry(l)) {
            let beside = line.trim().contains("  ");
            let below = lines.get(index + 1).is_some_and(|l| l.starts_with("        "));
            assert!(beside || below, "{command}: {line:?} is not explained in\n{text}");
        }
    }
}

/// Words that must not be found in any log, with what they are.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_out_of_the_log() {
    const SECRETS: [&str; 4] = ["camera-pass", "in-the-url", "srt-passphrase", "turn-credential"];
    let keys = Keys::new();
    let more = format!(
        "[access]\nkeys = [{:?}]\n\
         [[ice.servers]]\nurls = [\"turn:turn.test:3478\"]\nusername = \"u\"\n\
         credential = \"turn-credential\"\n\
         [[channels]]\nname = \"crash-rtsp\"\n[channels.source]\nkind = \"rtsp\"\n\
         url = \"rtsp://user:in-the-url@127.0.0.1:9/stream\"\nuser = \"u\"\npassword = \"camera-pass\"\n\
         [[channels]]\nname = \"srt\"\n[channels.source]\nkind = \"srt\"\nmode = \"caller\"\n\
         address = \"127.0.0.1:9\"\npassphrase = \"srt-passphrase\"\n\
         [accounts]\nenabled = true\nsign_up = \"open\"\n",
        keys.public()
    );
    let mut program = Program::start(
        |_| String::new(),
        &more,
        |_, command| {
            command.env("STENTOR_LOG", "trace");
        },
    );
    let client = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    let base = format!("http://127.0.0.1:{}", program.port);
    let good = keys.token(stentor::http::access::Role::Admin, "*");
    let forged = format!("{}AAAA", &good[..good.len() - 4]);
    program.until("it listens", |p| p.log().contains("listening on").then_some(()));
    for token in [&good, &forged] {
        for path in ["/api/v1/channels", "/api/v1/me", "/metrics", "/nowhere?token=query-token"] {
            client.get(format!("{base}{path}")).bearer_auth(token).send().await.unwrap();
        }
        let put = client.put(format!("{base}/api/v1/channels/cam")).bearer_auth(token).json(
            &serde_json::json!({"source": {
                "kind": "rtsp", "url": "rtsp://user:in-the-url@127.0.0.1:9/", "password": "camera-pass",
            }}),
        );
        put.send().await.unwrap();
    }
    let user = serde_json::json!({"name": "anna", "password": "a-users-password"});
    client.post(format!("{base}/api/v1/users")).json(&user).send().await.unwrap();
    let signed_in = client.post(format!("{base}/api/v1/sign-ins")).json(&user).send().await;
    let signed_in: serde_json::Value = signed_in.unwrap().json().await.unwrap();
    let users = signed_in["token"].as_str().unwrap();
    let users_signature = users.rsplit('.').next().unwrap();
    client.get(format!("{base}/api/v1/account")).bearer_auth(users).send().await.unwrap();
    // A worker that ends is logged with the reason.
    program.until("it has logged", |p| p.log().contains("exit status: 3").then_some(()));
    program.signal(Signal::TERM);
    assert!(program.ended().success());
    let log = program.log();
    let signature = good.rsplit('.').next().unwrap();
    let own = [signature, users_signature, "a-users-password", "query-token", "PRIVATE KEY"];
    for secret in SECRETS.iter().chain(&own) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
