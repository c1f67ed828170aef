//! Users, their keys and tags.

use serde_json::json;

use super::*;
use crate::bucket_config::QuotaLimits;

#[test]
fn users_of_the_api_are_made_renamed_and_removed() {
    let mut file = File::of_two_accounts();
    let made = file.apply(CreateUser { path: Some("/team/".to_owned()), ..api_user("Bob") }).unwrap();
    assert!(made.credential.is_none());
    assert_eq!(file.target, "arn:aws:iam::111111111111:user/team/Bob");
    refused!(file.apply(api_user("bob")), EntityAlreadyExists);
    file.apply(CreateUser { account_id: Some(TWO.to_owned()), ..api_user("bob") }).unwrap();
    let directory = file.directory();
    let bob = directory.user(&user("bOB")).unwrap();
    assert_eq!((&bob.user_id, bob.path.as_str(), bob.user_name.as_str()), (&made.user_id, "/team/", "Bob"));
    assert_eq!(bob.created_at.map(Stamp::seconds), Some(NOW.seconds()));
    assert!(directory.principal_of(&made.user_id).unwrap().access_keys.is_empty());

    let update = |new_name: &str| UpdateUser {
        user_name: Some(new_name.to_owned()),
        path: Some("/".to_owned()),
        ..UpdateUser::new(user("bob"))
    };
    refused!(file.apply(update("ANN")), EntityAlreadyExists);
    refused!(file.apply(update("a b")), InvalidInput);
    file.apply(update("Rob")).unwrap();
    assert_eq!(file.target, "arn:aws:iam::111111111111:user/team/Bob");
    let directory = file.directory();
    let rob = directory.user(&user("Rob")).unwrap();
    assert_eq!((&rob.user_id, rob.path.as_str(), rob.display_name.as_str()), (&made.user_id, "/", "Rob"));
    refused!(file.apply(update("Rob")), NoSuchEntity);

    file.apply(DeleteUser { user: user("rob"), force: false }).unwrap();
    assert_eq!(file.document["former_users"][0]["user_id"], made.user_id.as_str());
    assert_eq!(file.directory().account_of(&made.user_id), ONE);
    let again = file.apply(api_user("Rob")).unwrap();
    assert_ne!(again.user_id, made.user_id, "an id is never given on");
}

#[test]
fn a_user_goes_only_with_nothing_on_it_unless_forced() {
    let mut file = File::of_two_accounts();
    let delete = |force| DeleteUser { user: user("ann"), force };
    refused!(file.apply(delete(false)), DeleteConflict);
    file.apply(DeleteAccessKey { user: user("ann"), access_key: "ann".to_owned() }).unwrap();
    let holder = || Holder::User(user("ann"));
    let put = PutInlinePolicy { holder: holder(), policy_name: "p".to_owned(), document: allow("s3:*") };
    file.apply(put.clone()).unwrap();
    refused!(file.apply(delete(false)), DeleteConflict);
    file.apply(DeleteInlinePolicy { holder: holder(), policy_name: "p".to_owned() }).unwrap();
    let arn = "arn:aws:iam::aws:policy/AmazonS3FullAccess".to_owned();
    file.apply(AttachPolicy { holder: holder(), policy_arn: arn.clone() }).unwrap();
    refused!(file.apply(delete(false)), DeleteConflict);
    file.apply(DetachPolicy { holder: holder(), policy_arn: arn }).unwrap();
    file.apply(CreateGroup { group: named("g"), path: None }).unwrap();
    file.apply(AddUserToGroup { group: named("g"), user: user("ann") }).unwrap();
    refused!(file.apply(delete(false)), DeleteConflict);
    let mut forced = File::new(file.document.clone());
    forced.apply(delete(true)).unwrap();
    file.apply(RemoveUserFromGroup { group: named("g"), user: user("ann") }).unwrap();
    file.apply(delete(false)).unwrap();
    refused!(file.apply(delete(true)), NoSuchEntity);
}

#[test]
fn names_that_are_taken_give_way_to_the_access_key() {
    let mut file = File::of_two_accounts();
    let kim = file.apply(api_user("kim")).unwrap();
    let create = |access_key: &str| CreateUser {
        account_id: Some(ONE.to_owned()),
        display_name: Some("kim".to_owned()),
        access_key: Some(access_key.to_owned()),
        ..CreateUser::default()
    };
    let made = file.apply(create("kim2")).unwrap();
    assert_eq!(file.target, "arn:aws:iam::111111111111:user/kim2");
    let directory = file.directory();
    let second = directory.user(&user("kim2")).unwrap();
    assert_eq!((&second.user_id, second.display_name.as_str()), (&made.user_id, "kim"));
    assert_eq!(directory.user(&user("kim")).unwrap().user_id, kim.user_id);
    assert!(directory.user(&WhichUser::from("kim")).is_err(), "both go by it");
    // Another's name is not had by way of the access key, in no letter case.
    refused!(file.apply(create("KIM")), EntityAlreadyExists);
    refused!(file.apply(create("no:name")), InvalidInput);
    // What is settled before the permission is asked for is what comes of it.
    let mut settled = CreateUser { access_key: None, ..create("") };
    settled.settle(&file.directory()).unwrap();
    let name = settled.user_name.clone().unwrap();
    assert_eq!(settled.access_key.as_ref(), Some(&name));
    file.apply(settled).unwrap();
    assert_eq!(file.target, format!("arn:aws:iam::111111111111:user/{name}"));
}

#[test]
fn an_account_fills_up_for_itself_alone() {
    let user = |number: usize| json!({"user_id": format!("{number:064x}"), "user_name": format!("u{number}"), "account_id": ONE});
    let mut file = File::new(json!({"users": (0..quotas::USERS_MAX).map(user).collect::<Vec<_>>()}));
    refused!(file.apply(api_user("one")), LimitExceeded);
    file.apply(CreateUser { account_id: Some(TWO.to_owned()), ..api_user("two") }).unwrap();
    file.apply(CreateUser { by_grant: true, ..api_user("one") }).unwrap();
    let former = |number: usize| json!({"user_id": format!("f{number:063x}"), "account_id": ONE});
    let mut file = File::new(json!({"users": [], "former_users": (0..10_000).map(former).collect::<Vec<_>>()}));
    refused!(file.apply(api_user("one")), LimitExceeded);
    file.apply(CreateUser { account_id: Some(TWO.to_owned()), ..api_user("two") }).unwrap();
}

#[test]
fn policies_are_attached_and_detached_in_any_letter_case_of_their_name() {
    let mut file = File::of_two_accounts();
    let (holder, sent) = (Holder::User(user("ANN")), "arn:aws:iam::aws:policy/administratoraccess".to_owned());
    let own = "arn:aws:iam::aws:policy/AdministratorAccess";
    assert_eq!(file.directory().managed_policy_arn(&sent).as_deref(), Some(own));
    file.apply(AttachPolicy { holder: holder.clone(), policy_arn: sent.clone() }).unwrap();
    assert_eq!(file.document["users"][1]["attached_policies"], json!([own]));
    let elsewhere = "arn:aws:iam::AWS:policy/AdministratorAccess".to_owned();
    refused!(file.apply(DetachPolicy { holder: holder.clone(), policy_arn: elsewhere }), NoSuchEntity);
    file.apply(DetachPolicy { holder, policy_arn: sent }).unwrap();
}

#[test]
fn access_keys() {
    let mut file = File::of_two_accounts();
    let create = |user: WhichUser| CreateAccessKey { user, access_key: None, secret_key: None, expires_at: None };
    let new = file.apply(create(user("ann"))).unwrap();
    refused!(file.apply(create(user("ann"))), LimitExceeded);
    refused!(file.apply(create(user("nobody"))), NoSuchEntity);
    let taken = CreateAccessKey { access_key: Some("eve".to_owned()), ..create(user("root")) };
    refused!(file.apply(taken), EntityAlreadyExists);

    // The key that the record holds itself becomes a further one when it is disabled.
    let update = |key: &str, enabled| UpdateAccessKey {
        user: user("ann"),
        access_key: key.to_owned(),
        enabled: Some(enabled),
        expires_at: None,
    };
    let id = file.directory().user(&user("ann")).unwrap().user_id.clone();
    file.apply(update("ann", false)).unwrap();
    let record = &file.document["users"][1];
    assert!(record.get("access_key").is_none() && record.get("secret_key_sealed").is_none());
    assert_eq!((&record["access_keys"][0]["access_key"], &record["color"]), (&json!("ann"), &json!("red")));
    let directory = file.directory();
    let ann = directory.user(&user("ann")).unwrap();
    assert_eq!(
        (&ann.user_id, ann.access_keys.iter().map(|key| key.is_enabled).collect::<Vec<_>>()),
        (&id, vec![false, true])
    );
    assert_eq!(directory.key(&ann.access_keys[0].access_key).unwrap().secret.expose(), "typed by hand");
    refused!(file.apply(update("eve", true)), NoSuchEntity);

    let end = UpdateAccessKey { expires_at: Some(Some(NOW)), enabled: None, ..update("ann", true) };
    file.apply(end).unwrap();
    file.apply(create(user("ann"))).unwrap();
    let delete = |key: &str| DeleteAccessKey { user: user("ann"), access_key: key.to_owned() };
    file.apply(delete(new.access_key.as_str())).unwrap();
    refused!(file.apply(delete(new.access_key.as_str())), NoSuchEntity);
    refused!(file.apply(delete("eve")), NoSuchEntity);
    assert_eq!(file.directory().user(&user("ann")).unwrap().access_keys.len(), 2);
}

#[test]
fn the_last_key_goes_and_the_user_stays_who_it_is() {
    let key = json!({"access_key": "KEY", "secret_key": "typed by hand", "policies": [], "account_id": ONE});
    let mut file = File::new(json!({"users": [key]}));
    let before = file.directory().users()[0].clone();
    file.apply(DeleteAccessKey { user: WhichUser::from("KEY"), access_key: "KEY".to_owned() }).unwrap();
    let after = file.directory().users()[0].clone();
    assert_eq!((&after.user_id, &after.user_name, after.arn()), (&before.user_id, &before.user_name, before.arn()));
    assert!(after.access_keys.is_empty());
}

#[test]
fn rotation_with_overlap_makes_a_successor() {
    let mut file = File::of_two_accounts();
    let rotate = |key: Option<&str>| RotateKey {
        user: user("ann"),
        access_key: key.map(str::to_owned),
        overlap_seconds: Some(60),
    };
    let first = file.apply(rotate(None)).unwrap();
    let replaced = first.replaced.unwrap();
    assert_eq!((replaced.access_key.as_str(), replaced.expires_at), ("ann", NOW.after(60)));
    let ends = |file: &File| {
        let directory = file.directory();
        let keys = directory.user(&user("ann")).unwrap().access_keys.clone();
        keys.into_iter().map(|key| (key.access_key, key.expires_at)).collect::<Vec<_>>()
    };
    assert_eq!(ends(&file), [(replaced.access_key.clone(), Some(NOW.after(60))), (first.access_key.clone(), None)]);
    refused!(file.apply(rotate(None)), InvalidInput);
    // A second one does not make the first end later.
    file.now = NOW.after(30);
    file.apply(rotate(Some("ann"))).unwrap();
    assert_eq!(ends(&file)[0], (replaced.access_key, Some(NOW.after(60))));
    // What has ended goes with the next one.
    file.now = NOW.after(61);
    let last = file.apply(rotate(Some(first.access_key.as_str()))).unwrap();
    assert!(ends(&file).iter().all(|(key, _)| key.as_str() != "ann"));
    assert_eq!(ends(&file).last(), Some(&(last.access_key, None)));
    refused!(
        file.apply(RotateKey { overlap_seconds: Some(u64::MAX), ..rotate(Some(first.access_key.as_str())) }),
        InvalidInput
    );
    for _ in 0..20 {
        let Err(error) = file.apply(rotate(Some(first.access_key.as_str()))) else { continue };
        assert!(matches!(error, IamError::LimitExceeded(_)), "{error}");
        return;
    }
    panic!("there is no limit");
}

#[test]
fn tags() {
    let mut file = File::of_two_accounts();
    let tag = |tags: &[(&str, &str)]| Tag {
        what: Taggable::User(user("ann")),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    };
    file.apply(tag(&[("Team", "a"), ("cost", "1")])).unwrap();
    file.apply(tag(&[("team", "b")])).unwrap();
    let tags = |file: &File| file.directory().user(&user("ann")).unwrap().tags.clone();
    assert_eq!(tags(&file), [("cost".to_owned(), "1".to_owned()), ("team".to_owned(), "b".to_owned())]);
    for bad in
        [&[("", "x")][..], &[("aws:x", "x")], &[("k", "a\nb")], &[("k", "1"), ("K", "2")], &[(&"k".repeat(129), "")]]
    {
        refused!(file.apply(tag(bad)), InvalidInput);
    }
    let many: Vec<String> = (0..49).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|key| (key.as_str(), "")).collect();
    refused!(file.apply(tag(&many)), LimitExceeded);
    file.apply(tag(&many[..48])).unwrap();
    let untag = Untag { what: Taggable::User(user("ann")), keys: vec!["TEAM".to_owned(), "none".to_owned()] };
    file.apply(untag).unwrap();
    assert_eq!(tags(&file).len(), 49);

    file.apply(CreateRole {
        role: named("r"),
        path: None,
        assume_role_policy: trust(),
        description: None,
        max_session_duration: None,
        tags: vec![("k".to_owned(), "v".to_owned())],
    })
    .unwrap();
    file.apply(Untag { what: Taggable::Role(named("r")), keys: vec!["k".to_owned()] }).unwrap();
    assert!(file.document["roles"][0].get("tags").is_none());
    let aws = "arn:aws:iam::aws:policy/IAMFullAccess".to_owned();
    let what = Taggable::Policy { account_id: ONE.to_owned(), arn: aws };
    refused!(file.apply(Tag { what, ..tag(&[("k", "v")]) }), UnmodifiableEntity);
}

#[test]
fn quotas_of_users_are_set_and_removed() {
    let mut file = File::of_two_accounts();
    let quota = QuotaLimits { max_bytes: Some(1000), max_objects: None };
    file.apply(SetUserQuota { user: user("ann"), quota }).unwrap();
    assert_eq!(file.directory().user(&user("ann")).unwrap().quota, quota);
    file.apply(SetUserQuota { user: user("ann"), quota: QuotaLimits::default() }).unwrap();
    assert!(file.document["users"].as_array().unwrap().iter().all(|user| user.get("quota").is_none()));
    assert!(file.directory().user(&user("ann")).unwrap().quota.is_unlimited());
    refused!(file.apply(SetUserQuota { user: user("nobody"), quota }), NoSuchEntity);
}
