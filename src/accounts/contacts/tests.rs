//! Two users and what they do to each other, as a table; then the bounds.

use rusqlite::Connection;

use super::super::ringing::{RingRefusal, may_ring, standing};
use super::super::schema::tests::memory;
use super::super::users::{NewUser, insert};
use super::*;

const DAY: i64 = 86_400_000;

fn user(c: &Connection, name: &str) -> UserId {
    let id: UserId = name.parse().unwrap();
    let (name, display) = (name.parse().unwrap(), name.parse().unwrap());
    let user = NewUser { id: &id, name: &name, display: &display, password: "" };
    assert!(insert(c, &user, 0).unwrap());
    id
}

/// What one does, and what comes of it in words.
fn act(c: &Connection, step: &str, now_ms: i64) -> String {
    let words: Vec<&str> = step.split(' ').collect();
    let (who, peer): (UserId, UserId) = (words[0].parse().unwrap(), words[2].parse().unwrap());
    let outcome = match words[1] {
        "asks" => request(c, &who, &peer, now_ms).map(|requested| format!("{requested:?}")),
        "accepts" => accept(c, &who, &peer, now_ms).map(|()| "done".to_owned()),
        "declines" => decline(c, &who, &peer, now_ms).map(|()| "done".to_owned()),
        "removes" => remove(c, &who, &peer).map(|()| "done".to_owned()),
        "blocks" => block(c, &who, &peer, now_ms).map(|changed| format!("{changed:?}")),
        "unblocks" => Ok(rows::delete_block(c, &who, &peer).unwrap().to_string()),
        "rings" => {
            let rung = may_ring(&standing(c, &who, &peer).unwrap(), from_unix_ms(now_ms));
            Ok(rung.map_or_else(|refusal| refusal.label().to_owned(), |()| "rings".to_owned()))
        }
        other => panic!("{other}"),
    };
    outcome.unwrap_or_else(|error| error.to_string())
}

#[test]
fn contacts_come_by_asking_and_go_by_removing_and_blocking() {
    let scenes: &[&[(&str, &str)]] = &[
        &[
            ("anna rings bert", "not_contacts"),
            ("anna asks bert", "Waiting"),
            ("anna asks bert", "already asked"),
            ("anna rings bert", "not_contacts"),
            ("anna accepts bert", "there is no such request"),
            ("carl accepts anna", "there is no such request"),
            ("bert accepts anna", "done"),
            ("anna rings bert", "rings"),
            ("bert rings anna", "rings"),
            ("carl rings anna", "not_contacts"),
            ("bert asks anna", "already one of your contacts"),
            ("bert removes anna", "done"),
            ("anna rings bert", "not_contacts"),
            ("anna removes bert", "not one of your contacts"),
        ],
        &[
            ("anna asks bert", "Waiting"),
            ("bert asks anna", "Accepted"),
            ("anna rings bert", "rings"),
        ],
        &[
            ("anna asks bert", "Waiting"),
            ("anna removes bert", "done"),
            ("bert accepts anna", "there is no such request"),
        ],
        &[
            ("anna asks bert", "Waiting"),
            ("bert declines anna", "done"),
            ("bert declines anna", "there is no such request"),
            ("anna asks bert", "declined not long ago"),
            ("anna removes bert", "not one of your contacts"),
            ("anna asks bert", "declined not long ago"),
            ("bert asks anna", "Waiting"),
            ("anna accepts bert", "done"),
            ("anna rings bert", "rings"),
        ],
        &[
            ("anna asks bert", "Waiting"),
            ("bert accepts anna", "done"),
            ("bert blocks anna", "Both"),
            ("bert blocks anna", "Nobody"),
            ("carl blocks anna", "Oneself"),
            ("anna rings bert", "blocked_by_callee"),
            ("bert rings anna", "blocked_by_caller"),
            ("anna asks bert", "takes no requests from you"),
            ("bert asks anna", "you have blocked this user"),
            ("anna unblocks bert", "false"),
            ("bert unblocks anna", "true"),
            ("anna rings bert", "not_contacts"),
            ("anna asks bert", "Waiting"),
        ],
        &[
            ("anna asks bert", "Waiting"),
            ("bert blocks anna", "Both"),
            ("bert accepts anna", "there is no such request"),
        ],
        &[
            ("anna asks anna", "that is you"),
            ("anna blocks anna", "that is you"),
            ("anna rings anna", "yourself"),
            ("anna asks nobody", "no such user"),
            ("anna blocks nobody", "no such user"),
            ("anna rings nobody", "not_contacts"),
        ],
    ];
    for scene in scenes {
        let c = memory();
        for name in ["anna", "bert", "carl"] {
            user(&c, name);
        }
        for (n, (step, expected)) in scene.iter().enumerate() {
            assert_eq!(act(&c, step, n as i64), *expected, "step {n}, {step}, of {scene:?}");
        }
    }
}

#[test]
fn a_no_is_a_no_for_a_week() {
    let c = memory();
    let (anna, bert) = (user(&c, "anna"), user(&c, "bert"));
    assert_eq!(act(&c, "anna asks bert", 0), "Waiting");
    assert_eq!(act(&c, "bert declines anna", DAY), "done");
    let requests = rows::requests(&c, &anna).unwrap();
    assert_eq!(requests.sent.len(), 1, "the sender isn't told");
    assert!(rows::requests(&c, &bert).unwrap().received.is_empty());
    assert_eq!(act(&c, "anna asks bert", 8 * DAY - 1), "declined not long ago");
    assert_eq!(act(&c, "anna asks bert", 8 * DAY), "Waiting");
    assert_eq!(rows::requests(&c, &bert).unwrap().received.len(), 1);
}

#[test]
fn nobody_is_rung_who_does_not_want_to_be_disturbed() {
    let c = memory();
    let bert = user(&c, "bert");
    user(&c, "anna");
    act(&c, "anna asks bert", 0);
    act(&c, "bert accepts anna", 0);
    assert!(users::set_undisturbed(&c, &bert, Some(10)).unwrap());
    assert_eq!(act(&c, "anna rings bert", 9), "do_not_disturb");
    assert_eq!(act(&c, "bert rings anna", 9), "rings");
    assert_eq!(act(&c, "anna rings bert", 10), "rings");
    assert!(users::set_undisturbed(&c, &bert, Some(i64::MAX)).unwrap());
    let until = standing(&c, &"anna".parse().unwrap(), &bert).unwrap();
    assert!(matches!(
        may_ring(&until, std::time::UNIX_EPOCH),
        Err(RingRefusal::DoNotDisturb { .. })
    ));
    assert!(users::set_undisturbed(&c, &bert, None).unwrap());
    assert_eq!(act(&c, "anna rings bert", 9), "rings");
}

#[test]
fn lists_are_bounded() {
    let c = memory();
    let anna = user(&c, "anna");
    let crowd: Vec<UserId> = (0..=MAX_CONTACTS).map(|n| user(&c, &format!("user{n}"))).collect();
    let (last, others) = crowd.split_last().unwrap();
    for peer in &others[..MAX_SENT as usize] {
        assert!(request(&c, &anna, peer, 0).is_ok());
    }
    let error = request(&c, &anna, last, 0).unwrap_err();
    assert_eq!(error.to_string(), "too many requests that wait, 100 at most");
    c.execute("DELETE FROM requests", ()).unwrap();
    for peer in &others[..MAX_RECEIVED as usize] {
        assert!(request(&c, peer, &anna, 0).is_ok());
    }
    let error = request(&c, last, &anna, 0).unwrap_err();
    assert_eq!(error.to_string(), "too many requests for this user, 200 at most");
    c.execute("DELETE FROM requests", ()).unwrap();
    for peer in others {
        rows::insert_contact(&c, &anna, peer, 0).unwrap();
        rows::insert_block(&c, &anna, peer, 0).unwrap();
    }
    assert!(request(&c, last, &anna, 0).is_ok());
    let error = accept(&c, &anna, last, 0).unwrap_err();
    assert_eq!(error.to_string(), "too many contacts, 1000 at most");
    let error = block(&c, &anna, last, 0).unwrap_err();
    assert_eq!(error.to_string(), "too many blocked users, 1000 at most");
    assert_eq!(rows::contacts(&c, &anna).unwrap().len(), MAX_CONTACTS as usize);
}
