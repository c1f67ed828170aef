//! Keeps the keys of identity providers.
//!
//! Whoever asks while a provider is being asked waits for the same answer. Keys serve for an hour; a token that names another
//! key makes the node ask again, at most once a minute, whoever sends such tokens.

use std::collections::HashMap;
use std::sync::Arc;

use actix::fut::{ActorFutureExt as _, WrapFuture as _};
use actix::{Actor, AsyncContext as _, Context, Handler, Message, ResponseFuture};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, Shared};

use super::fetch::{Fetcher, ProviderUrl};
use super::jwks::KeySet;
use super::jwt::KeyName;
use crate::clock::SharedClock;
use crate::names::Stamp;

/// How long keys serve, in seconds.
const KEYS_SECONDS: u64 = 3600;
/// How long an unknown key is not asked for again, in seconds.
const UNKNOWN_SECONDS: u64 = 60;
/// How long a provider that could not be reached is left alone, in seconds.
const FAILED_SECONDS: u64 = 5;
/// Most providers whose keys are kept.
const PROVIDERS_MAX: usize = 1000;

/// The provider's keys are not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the identity provider cannot be reached")]
pub struct Unavailable;

/// The keys of a provider, asked for anew when this one is not among those that are known.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Arc<KeySet>, Unavailable>")]
pub struct FetchKeys {
    /// The provider.
    pub provider: ProviderUrl,
    /// The key that is wanted.
    pub key: KeyName,
}

type Flight = Shared<LocalBoxFuture<'static, Result<Arc<KeySet>, Unavailable>>>;

#[derive(Default)]
struct Known {
    /// With when they were fetched.
    keys: Option<(Arc<KeySet>, Stamp)>,
    /// When the provider was asked last.
    asked_at: Stamp,
    /// When it was asked last although there were keys.
    renewed_at: Stamp,
    /// The question under way.
    flight: Option<Flight>,
}

/// Owns the keys.
pub struct IdentityProviders {
    /// Made when it is needed: most nodes know no provider.
    fetcher: Option<Fetcher>,
    clock: SharedClock,
    known: HashMap<ProviderUrl, Known>,
}

impl std::fmt::Debug for IdentityProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IdentityProviders").field("known", &self.known.len()).finish_non_exhaustive()
    }
}

impl IdentityProviders {
    pub fn new(clock: SharedClock) -> Self {
        Self { fetcher: None, clock, known: HashMap::new() }
    }

    /// What can be answered without a question to the provider.
    fn at_hand(&self, message: &FetchKeys, now: Stamp) -> Option<Result<Arc<KeySet>, Unavailable>> {
        let known = self.known.get(&message.provider)?;
        let since = |then: Stamp| now.seconds().saturating_sub(then.seconds());
        let keys =
            known.keys.as_ref().filter(|(_, fetched_at)| since(*fetched_at) < KEYS_SECONDS).map(|(keys, _)| keys);
        match keys {
            Some(keys) if keys.may_verify(&message.key) => Some(Ok(Arc::clone(keys))),
            _ if known.flight.is_some() => None,
            Some(keys) if since(known.renewed_at) < UNKNOWN_SECONDS => Some(Ok(Arc::clone(keys))),
            None if since(known.asked_at) < FAILED_SECONDS => Some(Err(Unavailable)),
            Some(_) | None => None,
        }
    }

    fn ask(&mut self, provider: ProviderUrl, now: Stamp, context: &mut Context<Self>) -> Flight {
        if self.known.len() >= PROVIDERS_MAX {
            self.known.retain(|_, known| known.flight.is_some());
        }
        let known = self.known.entry(provider.clone()).or_default();
        if let Some(flight) = &known.flight {
            return flight.clone();
        }
        let fetcher = self.fetcher.get_or_insert_with(Fetcher::new).clone();
        let asked = provider.clone();
        let answer = async move {
            let keys = fetcher.keys(&asked).await;
            keys.map(Arc::new).map_err(|reason| {
                tracing::warn!(provider = %asked, "the keys of the identity provider cannot be fetched: {reason}");
                Unavailable
            })
        };
        let flight = answer.boxed_local().shared();
        known.asked_at = now;
        if known.keys.is_some() {
            known.renewed_at = now;
        }
        known.flight = Some(flight.clone());
        // Runs on when nobody waits any more.
        let landing = flight.clone().into_actor(self).map(move |answer, actor, _| actor.land(&provider, answer.ok()));
        context.spawn(landing);
        flight
    }

    fn land(&mut self, provider: &ProviderUrl, keys: Option<Arc<KeySet>>) {
        if let Some(known) = self.known.get_mut(provider) {
            known.flight = None;
            // Keys that serve go on serving while their provider is away.
            if let Some(keys) = keys {
                known.keys = Some((keys, known.asked_at));
            }
        }
    }
}

impl Actor for IdentityProviders {
    type Context = Context<Self>;
}

impl Handler<FetchKeys> for IdentityProviders {
    type Result = ResponseFuture<Result<Arc<KeySet>, Unavailable>>;

    fn handle(&mut self, message: FetchKeys, context: &mut Self::Context) -> Self::Result {
        let now = self.clock.now();
        match self.at_hand(&message, now) {
            Some(answer) => Box::pin(std::future::ready(answer)),
            None => Box::pin(self.ask(message.provider, now, context)),
        }
    }
}
