//! Changes of objects: delete, bring back, copy, move, folders, tags, locks.

use actix_web::http::Method;
use askama::Template;
use myfsio_actors::names::{BucketName, ObjectKey, VersionId};
use myfsio_actors::storage::{Object, VersionEntry};
use serde_json::{Value, json};

use super::browse::CHANGERS;
use super::jobs::foresee_deletion;
use super::marks;
use crate::console::failure::Failure;
use crate::console::layout::Page;
use crate::console::links;
use crate::console::notice::Notice;
use crate::console::route::{ADMINS, Outcome, Row};
use crate::console::undo::{Change, Deed, Undo, of_move, of_write};
use crate::console::units::{count, legible};
use crate::console::visit::{Visit, parse_key, render};
use crate::within::{CopyLimits, Copying, ObjectsWanted, Place, Refusal, Wish};

/// Routes.
pub const ROWS: &[Row] = &[
    Row::post("/ui/buckets/{bucket}/folder", CHANGERS, |visit| Box::pin(make_folder(visit)))
        .tested_by("prefix=&name=matrix"),
    Row::post("/ui/buckets/{bucket}/delete-objects", CHANGERS, |visit| Box::pin(delete(visit)))
        .tested_by("confirmed=1&item=matrix-none"),
    Row::post("/ui/buckets/{bucket}/delete-version", CHANGERS, |visit| Box::pin(delete_version(visit)))
        .tested_by("key=matrix-none"),
    Row::post("/ui/buckets/{bucket}/restore", CHANGERS, |visit| Box::pin(restore(visit)))
        .tested_by("key=folder%2Fa.txt&version=null"),
    Row::post("/ui/buckets/{bucket}/copy", CHANGERS, |visit| Box::pin(copy(visit)))
        .tested_by("key=folder%2Fa.txt&target=matrix-copy"),
    Row::post("/ui/buckets/{bucket}/tags", CHANGERS, |visit| Box::pin(set_tags(visit)))
        .tested_by("key=folder%2Fa.txt&tags=a%3Db"),
    Row::post("/ui/buckets/{bucket}/lock", ADMINS, |visit| Box::pin(set_lock(visit)))
        .tested_by("key=folder%2Fa.txt&hold=on"),
];

/// Objects that one form deletes, at most; folders count by what is in them.
const DELETED_MAX: usize = 1_000;
/// Refusals that are told one by one.
const TOLD_MAX: usize = 5;

fn place<'a>(bucket: &'a BucketName, key: &'a ObjectKey, version: Option<VersionId>) -> Place<'a> {
    Place { bucket, key, version }
}

/// A delete marker that can be told from others: the null version is written over.
fn marker_id(id: Option<String>) -> Option<VersionId> {
    id.and_then(|id| VersionId::parse(&id).ok()).filter(|id| *id != VersionId::Null)
}

async fn make_folder(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let name = visit.form.text("name").trim_matches('/');
    if name.is_empty() {
        return Err(Failure::input(visit.t.browse.folder_wrong));
    }
    let prefix = format!("{}{name}/", visit.form.raw("prefix").unwrap_or_default());
    let key = parse_key(&prefix)?;
    let headers = [("content-length", "0"), ("content-type", "application/x-directory"), ("if-none-match", "*")];
    let wish =
        Wish { method: Method::PUT, bucket: Some(&bucket.name), key: Some(&key), headers: &headers, ..Wish::default() };
    visit.asker()?.s3(wish).await?;
    visit.go_to(&links::browse(bucket.name.as_str(), &prefix))
}

#[derive(Template)]
#[template(path = "browse/delete.html")]
struct DeletePage {
    page: Page,
    bucket: String,
    prefix: String,
    items: Vec<(String, String)>,
    objects: String,
    comes_to: String,
    is_more: bool,
    keeps_versions: bool,
}

/// What a form's `item` fields name: keys, and, where they end with a slash, all that is below. Answers the keys, and whether there
/// are more than one form deletes.
async fn selected(visit: &Visit) -> Result<(Vec<ObjectKey>, bool), Failure> {
    let bucket = visit.bucket().await?;
    let mut keys = Vec::new();
    for item in visit.form.all("item") {
        if !item.ends_with('/') {
            keys.push(parse_key(item)?);
        } else {
            let limit = DELETED_MAX.saturating_sub(keys.len()).max(1);
            let wanted = ObjectsWanted { prefix: item.to_owned(), limit, ..ObjectsWanted::default() };
            let page = visit.asker()?.objects(&bucket, wanted).await?;
            keys.extend(page.entries.into_iter().map(|entry| entry.key));
            if page.next.is_some() {
                return Ok((keys, true));
            }
        }
        if keys.len() > DELETED_MAX {
            keys.truncate(DELETED_MAX);
            return Ok((keys, true));
        }
    }
    Ok((keys, false))
}

async fn delete(visit: Visit) -> Outcome {
    let bucket = visit.bucket().await?;
    let name = bucket.name.as_str();
    let prefix = visit.form.raw("prefix").unwrap_or_default().to_owned();
    let back = links::browse(name, &prefix);
    let (keys, is_more) = selected(&visit).await?;
    if keys.is_empty() {
        return visit.done(Notice::bad(visit.t.browse.nothing_selected), &back);
    }
    let keeps_versions = bucket.versioning == myfsio_actors::storage::Versioning::Enabled;
    if !visit.form.is_on("confirmed") {
        let title = visit.t.browse.delete_title;
        let named: Vec<_> = visit.form.all("item").map(str::to_owned).collect();
        let comes_to = foresee_deletion(visit.asker()?, &bucket, &named).await?;
        let view = DeletePage {
            comes_to: comes_to.map(|count| count.words(&visit.t.jobs)).unwrap_or_default(),
            page: visit.page(title).for_bucket(visit.asker()?, &bucket, "browse"),
            items: visit.form.all("item").map(|item| (item.to_owned(), legible(item))).collect(),
            objects: count(keys.len() as u64),
            bucket: name.to_owned(),
            prefix,
            is_more,
            keeps_versions,
        };
        return render(&view);
    }
    let asker = visit.asker()?;
    let mut refused: Vec<(String, Refusal)> = Vec::new();
    let mut deleted = 0;
    let mut markers = Vec::new();
    for key in &keys {
        match asker.delete(place(&bucket.name, key, None)).await {
            Ok(marker) => {
                deleted += 1;
                markers.extend(marker_id(marker).map(|version| Change {
                    deed: Deed::Deleted,
                    version,
                    key: key.clone(),
                }));
            }
            Err(refusal) => refused.push((legible(key.as_str()), refusal)),
        }
    }
    if deleted == 0
        && let Some((_, refusal)) = refused.pop()
    {
        return Err(refusal.into());
    }
    let words = &visit.t.browse;
    let mut notice = Notice::good(format!("{}\u{a0}{}", count(deleted), words.deleted_many));
    if keeps_versions {
        let trash = links::link(&["buckets", name, "browse"], &[("prefix", &prefix), ("show", "deleted")]);
        notice = notice.with_link(words.see_deleted, trash);
        // A button that takes back only a part would mislead.
        let may = |key: &ObjectKey| asker.may("s3:DeleteObjectVersion", Some(&bucket), Some(key.as_str()));
        let is_all = markers.len() as u64 == deleted && markers.iter().all(|change| may(&change.key));
        notice = notice.with_undo(is_all.then(|| Undo::of(&bucket, Deed::Deleted, &prefix, markers)));
    }
    visit.leave(notice);
    for (key, refusal) in refused.iter().take(TOLD_MAX) {
        visit.leave(Notice::bad(format!("{key}: {} ({})", refusal.message, refusal.code)));
    }
    if refused.len() > TOLD_MAX {
        visit.leave(Notice::bad(format!("{} {}", count((refused.len() - TOLD_MAX) as u64), words.more_refused)));
    }
    if is_more {
        visit.leave(Notice::bad(words.delete_more));
    }
    visit.go_to(&back)
}

/// Deletes one version for good; of a delete marker that brings back what it hides.
async fn delete_version(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    visit.asker()?.delete(place(&bucket.name, &key, version)).await?;
    let words = &visit.t.browse;
    if visit.form.is_on("marker") {
        let notice = Notice::good(format!("{} {}", legible(key.as_str()), words.brought_back));
        return visit.done(notice, &links::object(bucket.name.as_str(), key.as_str(), ""));
    }
    let notice = Notice::good(format!("{} {}", legible(key.as_str()), words.version_deleted));
    let is_there = version.is_some() && visit.asker()?.object(&bucket, &key, None).await.is_ok();
    let folder = key.as_str().rsplit_once('/').map(|(folder, _)| format!("{folder}/")).unwrap_or_default();
    let address = match is_there {
        true => links::object(bucket.name.as_str(), key.as_str(), ""),
        false => links::browse(bucket.name.as_str(), &folder),
    };
    visit.done(notice, &address)
}

/// Makes an older version the current one, by copying it onto its key: nothing is lost.
async fn restore(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let asker = visit.asker()?;
    let object = asker.object(&bucket, &key, version).await?;
    let (from, to) = (place(&bucket.name, &key, Some(object.version_id)), place(&bucket.name, &key, None));
    let copying = Copying { from, to, etag: None, keep_existing: false, over: None };
    asker.copy_of_any_size(&bucket, &copying, object.size, async |_, _| true).await?;
    let undo = of_write(asker, &bucket, &key, |own| is_copy_of(own, &object)).await;
    let notice = Notice::good(format!("{} {}", legible(key.as_str()), visit.t.browse.restored)).with_undo(undo);
    visit.done(notice, &links::object(bucket.name.as_str(), key.as_str(), ""))
}

/// Whether a version is the copy that was just made of an object, by its bytes. A copy in parts has an ETag of its own, and is not
/// known; should another writer of the same bytes have come between, then theirs is taken back, which comes to the same.
fn is_copy_of(version: &VersionEntry, source: &Object) -> bool {
    version.object.as_ref().is_some_and(|object| object.size == source.size && object.etag == source.etag)
}

/// Copies an object; with `move` its first place is left.
async fn copy(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let target = parse_key(visit.form.raw("target").unwrap_or_default())?;
    let wrong = |_| Failure::from(Refusal::invalid(visit.t.browse.bucket_wrong));
    let to = match visit.form.filled("target_bucket") {
        Some(name) => BucketName::parse(name).map_err(wrong)?,
        None => bucket.name.clone(),
    };
    if to == bucket.name && target == key && version.is_none() {
        return Err(Failure::input(visit.t.browse.same_place));
    }
    let asker = visit.asker()?;
    let object = asker.object(&bucket, &key, version).await?;
    let moves = visit.form.is_on("move");
    if version.is_none() && CopyLimits::of(&asker.node().settings).is_large(object.size) {
        // It takes longer than anybody waits for a page.
        let order = json!({ "action": if moves { "move" } else { "copy" }, "bucket": bucket.name.as_str(), "keys": [key.as_str()],
                            "from": key.as_str(), "to": target.as_str(), "to_bucket": to.as_str() });
        let told = asker.json(Method::POST, "/_myfsio/jobs", Some(&order)).await?;
        let id = told.get("id").and_then(Value::as_str).unwrap_or_default();
        return visit.go_to(&links::link(&["jobs", id], &[]));
    }
    let copying = Copying {
        from: place(&bucket.name, &key, version),
        to: place(&to, &target, None),
        etag: Some(object.etag),
        keep_existing: false,
        over: None,
    };
    asker.copy_of_any_size(&bucket, &copying, object.size, async |_, _| true).await?;
    let words = &visit.t.browse;
    let (mut word, mut marker) = (words.copied_to, None);
    if moves {
        // What somebody wrote meanwhile stays.
        marker = marker_id(asker.delete_matching(&bucket.name, &key, object.etag).await?);
        word = words.moved_to;
    }
    let notice = Notice::good(format!("{} {word} {to}/{}", legible(key.as_str()), legible(target.as_str())));
    let made = |own: &VersionEntry| is_copy_of(own, &object);
    let undo = match (moves, marker) {
        (false, _) => match asker.known_bucket(&to) {
            Ok(target_bucket) => of_write(asker, &target_bucket, &target, made).await,
            Err(_) => None,
        },
        // One form is about one bucket.
        (true, Some(marker)) if to == bucket.name => {
            of_move(asker, &bucket, (key.clone(), marker), &target, made).await
        }
        (true, _) => None,
    };
    visit.done(notice.with_undo(undo), &links::object(to.as_str(), target.as_str(), ""))
}

async fn set_tags(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let mut tags = Vec::new();
    for line in visit.form.text("tags").lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        tags.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    let object = visit.asker()?.object(&bucket, &key, version).await?;
    let action = if version.is_some() { "s3:PutObjectVersionTagging" } else { "s3:PutObjectTagging" };
    let asker = marks::check(&visit, &bucket, &key, action, &object, marks::of_tags).await?;
    asker.set_tags(place(&bucket.name, &key, version), &tags).await?;
    let id = version.map(|version| version.to_string()).unwrap_or_default();
    visit.done(Notice::good(visit.t.object.tags_saved), &links::object(bucket.name.as_str(), key.as_str(), &id))
}

async fn set_lock(visit: Visit) -> Outcome {
    let (bucket, key, version) = (visit.bucket().await?, visit.key()?, visit.version()?);
    let place = place(&bucket.name, &key, version);
    let object = visit.asker()?.object(&bucket, &key, version).await?;
    match visit.form.filled("hold") {
        Some(hold) => {
            let action = "s3:PutObjectLegalHold";
            let asker = marks::check(&visit, &bucket, &key, action, &object, marks::of_hold).await?;
            asker.set_legal_hold(place, hold == "on").await?;
        }
        None => {
            let action = "s3:PutObjectRetention";
            let asker = marks::check(&visit, &bucket, &key, action, &object, marks::of_retention).await?;
            let until = visit.form.text("until");
            let until = if until.len() == 16 { format!("{until}:00Z") } else { until.to_owned() };
            asker.set_retention(place, visit.form.text("mode"), &until, visit.form.is_on("bypass")).await?;
        }
    }
    let id = version.map(|version| version.to_string()).unwrap_or_default();
    visit.done(Notice::good(visit.t.object.lock_saved), &links::object(bucket.name.as_str(), key.as_str(), &id))
}
