//! Requests from within: what the console asks in the name of somebody who has signed in.
//!
//! They take the way of any other request, from counting against the access key to the decision and the access log; only the
//! socket is left out, and a refusal stays what it is until somebody shows it.

use std::sync::Arc;

use actix_http::{Payload, RequestHead, Response};
use actix_web::body::BoxBody;
use myfsio_actors::storage::Bucket;

use super::{Answer, Call, Hold, begin_exchange, call, finish, note_refusal, preflight, run, run_own};
use crate::node::Node;
use crate::s3::auth::Mechanism;
use crate::s3::context::Expected;
use crate::s3::error::S3Error;
use crate::s3::exchange::Exchange;
use crate::s3::respond::RequestId;
use crate::s3::route::{Address, Route};

/// A request that was refused.
#[derive(Debug)]
pub struct Refused {
    /// Names it in the log, and for whoever asks why.
    pub request_id: RequestId,
    /// Why.
    pub error: S3Error,
}

/// A request that was let through, for whoever carries it out without a handler. The bucket's access log is told when it is
/// dropped.
#[expect(missing_debug_implementations, reason = "it holds a body")]
pub struct Permitted {
    /// What a handler would get.
    pub call: Call,
    hold: Hold,
    head: RequestHead,
}

impl Permitted {
    /// The refusal of what turned out to be impossible.
    pub fn refuse(self, error: impl Into<S3Error>) -> Refused {
        let error = error.into();
        note_refusal(&self.call.node, &self.head, self.call.request_id, &error, &self.hold);
        Refused { request_id: self.call.request_id, error }
    }
}

/// Answers a request of any route but websites and the AWS services. `expected`: what a change by the S3 API is expected to find.
pub async fn answer(
    node: &Arc<Node>,
    mut head: RequestHead,
    route: Route,
    payload: Payload,
    expected: Option<Expected>,
) -> Result<Response<BoxBody>, Refused> {
    let mut hold = hold(node, &head, &route, payload);
    let request_id = hold.request_id;
    let answered: Answer = match route {
        Route::S3(address) => match preflight::prepare(node, &head, address, request_id, &hold.exchange).await {
            Ok(prepared) => run(node, &mut head, preflight::Prepared { expected, ..prepared }, &mut hold).await,
            Err(error) => Err(error),
        },
        route => run_own(node, &head, &route, request_id, &mut hold).await,
    };
    match answered {
        Ok(response) => Ok(finish(node, request_id, response, hold)),
        Err(error) => {
            note_refusal(node, &head, request_id, &error, &hold);
            Err(Refused { request_id, error })
        }
    }
}

/// Asks for all that a request of the S3 API takes before its handler.
pub async fn permit(
    node: &Arc<Node>,
    mut head: RequestHead,
    address: Address,
    payload: Payload,
) -> Result<Permitted, Refused> {
    let mut hold = hold(node, &head, &Route::S3(address.clone()), payload);
    match preflight::prepare(node, &head, address, hold.request_id, &hold.exchange).await {
        Ok(prepared) => {
            hold.exchange.permitted();
            Ok(Permitted { call: call(node, &mut head, prepared, &mut hold), hold, head })
        }
        Err(error) => {
            note_refusal(node, &head, hold.request_id, &error, &hold);
            Err(Refused { request_id: hold.request_id, error })
        }
    }
}

/// Asks for a permission on a bucket that no single request takes. Errs: AccessDenied.
pub async fn ask(node: &Arc<Node>, head: &RequestHead, action: &str, bucket: &Bucket) -> Result<(), Refused> {
    let route = Route::S3(Address::Bucket(bucket.name.clone()));
    let hold = hold(node, head, &route, Payload::None);
    let asked = match preflight::identify(node, head).await {
        Ok(caller) => {
            hold.exchange.asked_by(caller.principal(), Mechanism::HeaderPair);
            hold.exchange.permitted();
            caller.ask(node, action, bucket).await
        }
        Err(error) => Err(error),
    };
    asked.map_err(|error| {
        note_refusal(node, head, hold.request_id, &error, &hold);
        Refused { request_id: hold.request_id, error }
    })
}

fn hold(node: &Arc<Node>, head: &RequestHead, route: &Route, payload: Payload) -> Hold {
    let request_id = RequestId::random();
    let exchange = match route {
        Route::S3(address) => Exchange::begin(node, head, address, request_id),
        _ => begin_exchange(node, head, &Ok(route.clone()), request_id),
    };
    let hold = Hold::new(node, request_id, payload, None, exchange).traced(&head.headers);
    if let Some(interface) = route.interface() {
        hold.exchange.asked_of(interface);
    }
    hold
}
