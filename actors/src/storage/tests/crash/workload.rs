//! What the node is asked to do, and in which order.

use super::super::fixtures::body;
use super::Choices;
use super::client::Client;
use super::events::Told;
use super::versions::History;
use crate::storage::{StorageClient, Versioning};

/// Larger than what goes through the journal.
pub(super) const LARGE: usize = 40_000;
pub(super) const SMALL: usize = 700;

/// Waits until index and files have followed and a checkpoint has been; not for long, since a failing disk has none.
pub(super) fn checkpoint(storage: &StorageClient) {
    let progress = &storage.shared().progress;
    let _or_not = progress.checkpoint_within(progress.position().sequence, std::time::Duration::from_millis(500));
}

/// One request after the other, of every kind, in the orders that matter. A request that fails ends nothing.
pub async fn one_by_one(client: &Client<'_>) {
    let _ = client.create_bucket("alpha").await;
    for round in 0..3 {
        let of = |seed: usize, size: usize| body(round * 100 + seed, size);
        let _ = client.put("alpha", "small", of(1, SMALL)).await;
        let _ = client.put("alpha", "dir/large", of(2, LARGE)).await;
        let _ = client.put("alpha", "dir/empty", of(3, 0)).await;
        let _ = client.put("alpha", "small", of(4, SMALL + 1)).await;
        let _ = client.put("alpha", "small", of(5, LARGE)).await;
        let _ = client.put("alpha", "small", of(6, SMALL)).await;
        let _ = client.put("alpha", "small//../odd", of(7, SMALL)).await;
        let _ = client.put("alpha", "small/below", of(8, LARGE)).await;
        let _ = client.put("alpha", "folder/", of(0, 0)).await;
        let _ = client.copy("alpha", "dir/large", "copied", of(2, LARGE)).await;
        let _ = client.delete("alpha", "dir/large").await;
        let _ = client.delete("alpha", "dir/empty").await;
        let _ = client.delete("alpha", "never/there").await;
        if round == 1 {
            checkpoint(client.storage);
            let _ = client.set_lifecycle("alpha").await;
        }
        if round == 0 {
            let _ = client.set_quotas("alpha", &["dir/", "assembled/", "small"]).await;
        }
        let _ = client.count().await;
        let _ = client.expire_object("alpha", "copied").await;
        // A key of its own for each upload: one that could not be completed stays.
        if let Ok(mut upload) = client.begin("alpha", &format!("assembled/{round}")).await {
            let _ = client.part(&mut upload, 1, of(10, 9000)).await;
            let _ = client.part(&mut upload, 2, of(11, 9000)).await;
            let _ = client.count().await;
            let _ = client.part(&mut upload, 1, of(12, 9000)).await;
            let _ = client.part(&mut upload, 3, of(13, 10)).await;
            let _ = client.complete(upload).await;
        }
        let over = format!("over/{round}");
        let _ = client.put("alpha", &over, of(9, SMALL)).await;
        if let Ok(mut upload) = client.begin("alpha", &over).await {
            let _ = client.part(&mut upload, 4, of(14, 5000)).await;
            let _ = client.part(&mut upload, 9, of(15, 17_000)).await;
            let _ = client.complete(upload).await;
        }
        if let Ok(mut upload) = client.begin("alpha", &format!("aborted/{round}")).await {
            let _ = client.part(&mut upload, 1, of(16, 9000)).await;
            let _ = client.part(&mut upload, 3, of(17, 3000)).await;
            let _ = match round {
                2 => client.expire_upload(upload).await,
                _ => client.abort(upload).await,
            };
        }
        let _ = client.create_bucket("beta").await;
        let _ = client.put("beta", "x/y", of(18, SMALL)).await;
        let _ = client.put("beta", "z", of(19, LARGE)).await;
        let _ = client.delete("beta", "x/y").await;
        let _ = client.delete("beta", "z").await;
        let _ = client.delete_bucket("beta", &[]).await;
        let _ = client.delete("alpha", &over).await;
        let _ = client.delete("alpha", "small").await;
        let _ = client.put("alpha", "small/new", of(20, SMALL)).await;
        let _ = client.delete("alpha", "small/new").await;
        let _ = client.delete("alpha", "small/below").await;
        let _ = client.delete("alpha", "folder/").await;
    }
    let _ = client.set_quotas("alpha", &["small"]).await;
    super::versions::one_by_one(client).await;
    super::events::one_by_one(client).await;
    super::sealed::one_by_one(client).await;
    super::replicas::one_by_one(client).await;
    if let Ok(mut upload) = client.begin("alpha", "left/open").await {
        let _ = client.part(&mut upload, 1, body(50, 9000)).await;
        let _ = client.part(&mut upload, 5, body(51, 400)).await;
    }
}

/// Several clients at once, each with keys of its own, so that batches hold many requests.
pub async fn together(client: &Client<'_>, seed: u64) {
    let _ = client.create_bucket("shared").await;
    let _ = client.create_bucket("versions").await;
    let _ = client.set_versioning("versions", Versioning::Enabled).await;
    let _ = client.set_lifecycle("versions").await;
    let _ = client.set_lifecycle("shared").await;
    let _ = client.create_telling_bucket("telling").await;
    let _ = client.set_quotas("versions", &["of/"]).await;
    let _ = client.set_quotas("shared", &["dir0/", "parts/"]).await;
    let _ = client.create_bucket("sealed").await;
    let _ = client.create_bucket("sealed-versions").await;
    let _ = client.set_versioning("sealed-versions", Versioning::Enabled).await;
    let clients = (0..6).map(|number| async move {
        let mut choices = Choices(seed.wrapping_add(number));
        let mut history = History::of("versions", &format!("of/{number}"));
        let mut told = Told::of("telling", &format!("of/{number}"));
        for step in 0..14 {
            let bytes = body(choices.below(1000), [0, SMALL, SMALL, LARGE][choices.below(4)]);
            let _ = match choices.below(4) {
                0 => client.mark_deleted(&mut history).await,
                1 => client.delete_version(&mut history, choices.below(4)).await,
                _ => client.put_version(&mut history, bytes).await,
            };
            let bytes = body(choices.below(1000), [0, SMALL, LARGE][choices.below(3)]);
            let _ = match choices.below(6) {
                0 => client.delete_telling(&mut told).await,
                1 => client.settle(&mut told).await,
                2 => client.tag_telling(&mut told).await,
                _ => client.put_telling(&mut told, bytes).await,
            };
            if number == 0 {
                let _ = client.count().await;
            }
            super::sealed::one_of_many(client, &mut choices, number, step).await;
            let name = format!("dir{}/{number}-{}", choices.below(2), choices.below(3));
            let bytes = body(choices.below(1000), [0, SMALL, SMALL, 5000, LARGE][choices.below(5)]);
            match choices.below(8) {
                0 | 1 => drop(client.delete("shared", &name).await),
                2 => {
                    let name = format!("parts/{number}-{step}");
                    if let Ok(mut upload) = client.begin("shared", &name).await {
                        let _ = client.part(&mut upload, 1, bytes.clone()).await;
                        let _ = client.part(&mut upload, 2, bytes).await;
                        let _ = match choices.below(3) {
                            0 => client.abort(upload).await,
                            _ => client.complete(upload).await,
                        };
                    }
                }
                _ => drop(client.put("shared", &name, bytes).await),
            }
        }
    });
    futures_util::future::join_all(clients).await;
}
