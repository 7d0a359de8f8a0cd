//! Sign-in as a client meets it, with the cheapest hashes.

use std::time::{Instant, UNIX_EPOCH};

use stentor_protocol::units::Secret;

use super::*;
use crate::accounts::{Cost, RingRefusal, Rules};
use crate::limit::Rate;

struct World {
    _folder: tempfile::TempDir,
    accounts: Accounts,
    start: Moment,
}

impl World {
    fn new(rules: impl FnOnce(&mut Rules)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut set = Rules { cost: Cost { memory_kib: 8, passes: 1 }, ..Rules::default() };
        rules(&mut set);
        let now = Instant::now();
        let accounts = Accounts::open(&folder.path().join("accounts.db"), set, now).unwrap();
        let wall = UNIX_EPOCH + Duration::from_secs(1_000_000);
        Self { _folder: folder, accounts, start: Moment { now, wall } }
    }

    fn after(&self, seconds: u64) -> Moment {
        let passed = Duration::from_secs(seconds);
        Moment { now: self.start.now + passed, wall: self.start.wall + passed }
    }

    async fn sign_up(&self, name: &str) -> Result<UserId, SignUpError> {
        let display = name.parse().unwrap();
        let wish =
            SignUp { name: name.parse().unwrap(), display, password: password("correct horse") };
        self.accounts.sign_up(wish, ip(1), self.start).await
    }

    async fn sign_in(&self, name: &str, text: &str, host: u8, at: u64) -> Result<SignedIn, String> {
        self.sign_in_on(name, text, None, host, at).await
    }

    async fn sign_in_on(
        &self,
        name: &str,
        text: &str,
        device: Option<DeviceId>,
        host: u8,
        at: u64,
    ) -> Result<SignedIn, String> {
        self.sign_in_as(name, text, device, None, host, at).await
    }

    async fn sign_in_as(
        &self,
        name: &str,
        text: &str,
        device: Option<DeviceId>,
        known: Option<Known>,
        host: u8,
        at: u64,
    ) -> Result<SignedIn, String> {
        let (name, device_name) = (name.parse().unwrap(), "Phone".parse().unwrap());
        let wish = SignIn { name, password: password(text), device, device_name, known };
        let signed_in = self.accounts.sign_in(wish, ip(host), self.after(at)).await;
        signed_in.map_err(|error| error.to_string())
    }
}

fn password(text: &str) -> Password {
    Password::new(Secret(text.to_owned())).unwrap()
}

fn ip(host: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, host])
}

const WRONG: &str = "the name or the password is wrong";

#[tokio::test]
async fn who_signed_up_signs_in_and_gets_a_token_for_a_device() {
    let world = World::new(|_| {});
    let anna = world.sign_up("Anna").await.unwrap();
    assert!(matches!(world.sign_up("anna").await, Err(SignUpError::NameTaken)));
    let one = world.sign_in("ANNA", "correct horse", 1, 5).await.unwrap();
    assert_eq!((&one.user, one.expires), (&anna, world.after(5 + 12 * 3600).wall));
    let device = Some(one.device.clone());
    let again = world.sign_in_on("anna", "correct horse", device, 1, 6).await.unwrap();
    assert_eq!(again.device, one.device);
    let other = world.sign_in("anna", "correct horse", 1, 7).await.unwrap();
    assert_ne!(other.device, one.device);
    assert_eq!(world.accounts.devices(&anna).await.unwrap().len(), 2);
    let renewed = world.accounts.renew(&anna, &one.device, world.after(60)).await.unwrap().unwrap();
    assert_eq!((renewed.device, renewed.expires), (one.device, world.after(60 + 12 * 3600).wall));
}

#[tokio::test]
async fn a_wrong_password_and_a_wrong_name_are_refused_alike() {
    let world = World::new(|_| {});
    world.sign_up("anna").await.unwrap();
    assert_eq!(world.sign_in("anna", "correct house", 1, 0).await, Err(WRONG.to_owned()));
    assert_eq!(world.sign_in("bert", "correct horse", 1, 0).await, Err(WRONG.to_owned()));
}

#[tokio::test]
async fn guesses_are_bounded_by_name_wherever_they_come_from() {
    let world = World::new(|rules| rules.sign_in_name = Rate::one_each(Duration::from_secs(30), 3));
    world.sign_up("anna").await.unwrap();
    world.sign_up("bert").await.unwrap();
    // Signing in costs none of them.
    for _ in 0..5 {
        assert!(world.sign_in("anna", "correct horse", 1, 0).await.is_ok());
    }
    for host in 1..=3 {
        assert_eq!(world.sign_in("anna", "correct house", host, 0).await, Err(WRONG.to_owned()));
    }
    let refused = Err("too many attempts, wait 31 s".to_owned());
    assert_eq!(world.sign_in("anna", "correct horse", 4, 0).await, refused);
    assert!(world.sign_in("bert", "correct horse", 4, 0).await.is_ok());
    assert!(world.sign_in("anna", "correct horse", 4, 30).await.is_ok());
}

#[tokio::test]
async fn who_knows_the_password_is_bounded_by_user_and_who_guesses_takes_nothing_from_it() {
    let rate = Rate::one_each(Duration::from_secs(10), 3);
    let world = World::new(|rules| rules.sign_in_user = rate);
    let anna = world.sign_up("anna").await.unwrap();
    world.sign_up("bert").await.unwrap();
    for _ in 0..4 {
        assert_eq!(world.sign_in("anna", "correct house", 2, 0).await, Err(WRONG.to_owned()));
    }
    let device = world.sign_in("anna", "correct horse", 1, 0).await.unwrap().device;
    let change = async |old: &str, at| {
        let (old, new) = (password(old), password("correct horse"));
        world.accounts.change_password(&anna, &device, old, new, world.after(at)).await
    };
    assert!(matches!(change("correct house", 0).await, Err(ChangeError::Wrong)));
    assert!(change("correct horse", 0).await.is_ok());
    assert!(world.sign_in("anna", "correct horse", 3, 0).await.is_ok());
    let refused = Err("too many attempts, wait 11 s".to_owned());
    for host in 4..8 {
        assert_eq!(world.sign_in("anna", "correct horse", host, 0).await, refused);
    }
    assert!(matches!(change("correct horse", 0).await, Err(ChangeError::TooOften { .. })));
    assert!(world.sign_in("bert", "correct horse", 1, 0).await.is_ok());
    assert!(world.sign_in("anna", "correct horse", 1, 10).await.is_ok());
}

#[tokio::test]
async fn who_guesses_does_not_lock_the_owners_known_devices_out() {
    let world = World::new(|rules| rules.sign_in_name = Rate::one_each(Duration::from_secs(30), 3));
    let anna = world.sign_up("anna").await.unwrap();
    let bert = world.sign_up("bert").await.unwrap();
    let device = world.sign_in("anna", "correct horse", 1, 0).await.unwrap().device;
    for host in 1..=3 {
        assert_eq!(world.sign_in("anna", "correct house", host, 0).await, Err(WRONG.to_owned()));
    }
    let hers = Known { user: anna, device: device.clone() };
    let his = Known { user: bert, device: device.clone() };
    let on = async |known: &Known, text: &str| {
        world.sign_in_as("anna", text, None, Some(known.clone()), 4, 0).await
    };
    let refused = Err("too many attempts, wait 31 s".to_owned());
    assert_eq!(world.sign_in("anna", "correct horse", 4, 0).await, refused);
    assert_eq!(on(&his, "correct horse").await, refused, "another user's opens nothing");
    assert!(on(&hers, "correct horse").await.is_ok());
    // Whoever has the device guesses no more often than anybody.
    for _ in 0..3 {
        assert_eq!(on(&hers, "correct house").await, Err(WRONG.to_owned()));
    }
    assert_eq!(on(&hers, "correct horse").await, refused);
    let (old, new) = (password("correct house"), password("battery staple"));
    let changed = world.accounts.change_password(&hers.user, &device, old, new, world.start).await;
    assert!(matches!(changed, Err(ChangeError::TooOften { .. })), "it is one count");
}

#[tokio::test]
async fn guesses_are_bounded_by_address_whatever_name_they_are_for() {
    let rate = Rate::one_each(Duration::from_secs(3), 4);
    let world = World::new(|rules| rules.sign_in_address = rate);
    world.sign_up("anna").await.unwrap();
    for name in ["anna", "bert", "carl"] {
        assert_eq!(world.sign_in(name, "correct house", 1, 0).await, Err(WRONG.to_owned()));
    }
    assert!(world.sign_in("anna", "correct horse", 1, 0).await.is_err());
    assert!(matches!(world.sign_up("dora").await, Err(SignUpError::TooOften { .. })));
    assert!(world.sign_in("anna", "correct horse", 2, 0).await.is_ok());
    assert!(world.sign_in("anna", "correct horse", 1, 3).await.is_ok());
}

#[tokio::test]
async fn a_new_password_signs_out_every_other_device() {
    let world = World::new(|_| {});
    let anna = world.sign_up("anna").await.unwrap();
    let mine = world.sign_in("anna", "correct horse", 1, 0).await.unwrap().device;
    let stolen = world.sign_in("anna", "correct horse", 2, 0).await.unwrap().device;
    let change = async |old: &str, new: &str| {
        let (old, new) = (password(old), password(new));
        world.accounts.change_password(&anna, &mine, old, new, world.start).await
    };
    let wrong = change("correct house", "battery staple").await;
    assert!(matches!(wrong, Err(ChangeError::Wrong)));
    let gone = change("correct horse", "battery staple").await.unwrap();
    assert!(gone.iter().eq([&stolen]), "{gone:?}");
    let signed_in = async |device: &DeviceId| {
        world.accounts.is_signed_in(&anna, device, world.start).await.unwrap()
    };
    assert!(signed_in(&mine).await);
    assert!(!signed_in(&stolen).await);
    assert_eq!(world.sign_in("anna", "correct horse", 1, 0).await, Err(WRONG.to_owned()));
    assert!(world.sign_in("anna", "battery staple", 1, 0).await.is_ok());
}

#[tokio::test]
async fn a_device_that_was_signed_out_stays_out() {
    let world = World::new(|_| {});
    let anna = world.sign_up("anna").await.unwrap();
    let bert = world.sign_up("bert").await.unwrap();
    let signed_in = world.sign_in("anna", "correct horse", 1, 0).await.unwrap();
    assert!(!world.accounts.sign_out(&bert, &signed_in.device).await.unwrap(), "not his");
    assert!(!world.accounts.is_signed_in(&bert, &signed_in.device, world.start).await.unwrap());
    assert!(world.accounts.sign_out(&anna, &signed_in.device).await.unwrap());
    assert!(!world.accounts.is_signed_in(&anna, &signed_in.device, world.start).await.unwrap());
    assert_eq!(world.accounts.renew(&anna, &signed_in.device, world.start).await.unwrap(), None);
}

#[tokio::test]
async fn ringing_is_bounded_by_caller() {
    let world = World::new(|rules| rules.ring = Rate::one_each(Duration::from_secs(6), 2));
    let (anna, bert) = (world.sign_up("anna").await.unwrap(), world.sign_up("bert").await.unwrap());
    world.accounts.request_contact(&anna, &bert, world.start).await.unwrap();
    world.accounts.accept_contact(&bert, &anna, world.start).await.unwrap();
    let ring = async |at| world.accounts.may_ring(&anna, &bert, world.after(at)).await;
    assert_eq!(ring(0).await, Ok(()));
    assert_eq!(ring(0).await, Ok(()));
    let wait = Duration::from_secs(6);
    assert_eq!(ring(0).await, Err(RingRefusal::TooOften { wait }));
    assert_eq!(world.accounts.may_ring(&bert, &anna, world.start).await, Ok(()));
    assert_eq!(ring(6).await, Ok(()));
    let until = world.after(3600).wall;
    world.accounts.set_undisturbed(&bert, Some(until), world.start).await.unwrap();
    assert_eq!(ring(60).await, Err(RingRefusal::DoNotDisturb { until }));
    assert_eq!(ring(3600).await, Ok(()));
}
