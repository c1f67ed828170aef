//! One client of a soak: a connection, some keys that nobody else writes, and what they hold as far as it was told.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::content::{Content, Material, Piece, Random, Slot};
use super::step::Step;
use crate::connection::{Answer, Connection, Cut, Failure, Payload, Wanted};
use crate::progress::Progress;
use crate::response::element;
use crate::sign::query;
use crate::site::Site;

/// Keys of a client.
const KEYS: u64 = 16;
/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a key is left alone after a write that nobody waited for: until then it may still come.
const REST: Duration = Duration::from_secs(10);
/// Sizes of bodies that fit into the journal, of larger ones, and of parts.
const SMALL: std::ops::Range<u64> = 0..96 << 10;
const LARGE: std::ops::Range<u64> = 160 << 10..1200 << 10;
const PART: std::ops::Range<u64> = 64 << 10..300 << 10;

/// What clients did.
#[derive(Debug, Default)]
pub struct Tally {
    /// Steps that went as they should, by name.
    pub steps: BTreeMap<&'static str, u64>,
    /// Refusals that were asked for, by status and code.
    pub refusals: BTreeMap<String, u64>,
    /// What should not have been.
    pub errors: BTreeMap<String, u64>,
}

/// What all clients share.
pub struct Shared {
    /// What bodies are made of.
    pub material: Material,
    /// What was done.
    pub tally: Mutex<Tally>,
    /// What is shown.
    pub progress: Arc<Progress>,
    /// Mean pause between two steps of a client.
    pub pause: Duration,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts something that should not have been.
    pub fn fault(&self, told: String) {
        *self.tally().errors.entry(told).or_default() += 1;
    }

    /// How much was done, in words.
    pub fn counts(&self) -> String {
        let tally = self.tally();
        let [done, refused, failed] =
            [tally.steps.values().sum::<u64>(), tally.refusals.values().sum(), tally.errors.values().sum()];
        format!("{done} operations, {refused} deliberate refusals, {failed} errors")
    }

    /// What was done, which is counted anew from now on.
    pub fn take_tally(&self) -> Tally {
        std::mem::take(&mut *self.tally())
    }
}

/// A client.
pub struct Client {
    shared: Arc<Shared>,
    site: Arc<Site>,
    number: u64,
    random: Random,
    connection: Connection,
    request: Vec<u8>,
    slots: Vec<Slot>,
    passing: u64,
}

impl Client {
    /// The client with this number.
    pub fn new(shared: &Arc<Shared>, site: &Arc<Site>, seed: u64, number: u64) -> Self {
        Self {
            shared: Arc::clone(shared),
            site: Arc::clone(site),
            number,
            random: Random::new(seed, number),
            connection: Connection::new(site.address),
            request: Vec::new(),
            slots: (0..KEYS).map(|_| Slot::absent()).collect(),
            passing: 0,
        }
    }

    /// Does this and that until `end`, and lets its connection go.
    pub async fn work(mut self, end: Instant) -> Self {
        let pause = u64::try_from(self.shared.pause.as_micros()).unwrap_or(u64::MAX);
        while Instant::now() < end {
            let pause = Duration::from_micros(self.random.below(pause.saturating_mul(2)));
            tokio::time::sleep(pause.min(end.saturating_duration_since(Instant::now()))).await;
            let step = Step::pick(self.random.draw());
            self.take(step).await;
        }
        self.hang_up();
        self
    }

    /// Takes one step, and counts what became of it.
    pub async fn take(&mut self, step: Step) {
        let done = tokio::time::timeout(PATIENCE, self.step(step)).await.unwrap_or(Err(Failure::TimedOut));
        self.shared.progress.step(0, done.is_err());
        match done {
            Ok(()) => {
                *self.shared.tally().steps.entry(step.name()).or_default() += 1;
            }
            Err(failure) => self.shared.fault(format!("{}, {}: {failure}", self.site.bucket, step.name())),
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), Failure> {
        // None where a write of each key may still come, which is rare.
        let Some(slot) = self.resting() else { return self.list().await };
        match step {
            Step::Get => self.get(slot).await,
            Step::GetRange => self.get_range(slot).await,
            Step::Head => self.head(slot).await,
            Step::List => self.list().await,
            Step::PutSmall => self.put(slot, SMALL).await,
            Step::PutLarge => self.put(slot, LARGE).await,
            Step::PutPassing => self.put_passing().await,
            Step::Delete => self.delete(slot).await,
            Step::Copy => self.copy(slot).await,
            Step::Multipart => self.multipart(slot, None).await,
            Step::AbortUpload => self.abort_upload(slot).await,
            Step::Wrong => self.wrong().await,
            Step::CutPut => self.cut_put(slot).await,
            Step::CutPutAnswer => self.cut_put_answer(slot).await,
            Step::CutGet => self.cut_get(slot).await,
            Step::CutPart => self.cut_part(slot).await,
            Step::CutComplete => self.multipart(slot, Some(Cut::InAnswer(0))).await,
        }
    }

    /// One of the keys that nothing is under way for.
    fn resting(&mut self) -> Option<usize> {
        let (now, first) = (Instant::now(), self.random.below(KEYS) as usize);
        let all = self.slots.len();
        (first..first + all).map(|slot| slot % all).find(|slot| self.slots.get(*slot).is_some_and(|it| it.rests(now)))
    }

    fn key(&self, slot: usize) -> String {
        format!("clients/{:04}/{slot:02}", self.number)
    }

    /// Writes the head of a request.
    fn compose(&mut self, method: &str, key: &str, parameters: &[(&str, &str)], length: Option<u64>) {
        self.request.clear();
        self.site.write_request(&mut self.request, method, &self.site.path(key), &query(parameters), length);
    }

    /// The same, and sends it.
    async fn ask(
        &mut self,
        method: &str,
        key: &str,
        parameters: &[(&str, &str)],
        payload: Option<Payload<'_>>,
        wanted: Wanted,
    ) -> Result<Answer, Failure> {
        self.compose(method, key, parameters, payload.map(|payload| payload.length));
        self.connection.exchange(&mut self.request, payload.unwrap_or(Payload::NONE), wanted).await
    }

    fn begin(&mut self, slot: usize, content: Option<Content>) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.begin(content, Instant::now() + REST);
        }
    }

    fn end(&mut self, slot: usize, content: Option<Content>) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.end(content);
        }
    }

    fn piece(&mut self, sizes: std::ops::Range<u64>) -> Piece {
        let size = self.random.within(sizes);
        Piece::new(&mut self.random, size)
    }

    async fn put(&mut self, slot: usize, sizes: std::ops::Range<u64>) -> Result<(), Failure> {
        let (piece, shared) = (self.piece(sizes), Arc::clone(&self.shared));
        let content = Content(vec![piece]);
        self.begin(slot, Some(content.clone()));
        self.ask("PUT", &self.key(slot), &[], Some(shared.material.payload(piece)), Wanted::default()).await?;
        self.end(slot, Some(content));
        Ok(())
    }

    async fn put_passing(&mut self) -> Result<(), Failure> {
        let (piece, shared) = (self.piece(0..4096), Arc::clone(&self.shared));
        self.passing += 1;
        let key = format!("passing/{:04}/{}", self.number, self.passing);
        self.ask("PUT", &key, &[], Some(shared.material.payload(piece)), Wanted::default()).await.map(drop)
    }

    async fn delete(&mut self, slot: usize) -> Result<(), Failure> {
        self.begin(slot, None);
        self.ask("DELETE", &self.key(slot), &[], None, Wanted::default()).await?;
        self.end(slot, None);
        Ok(())
    }

    async fn copy(&mut self, to: usize) -> Result<(), Failure> {
        let Some(from) = self.resting().filter(|from| *from != to) else { return self.get(to).await };
        let Some(content) = self.slots.get(from).and_then(Slot::content).cloned() else { return self.get(from).await };
        let source = self.site.path(&self.key(from));
        self.begin(to, Some(content.clone()));
        let wanted = Wanted { body: true, ..Wanted::default() };
        let parameters = [("x-amz-copy-source", source.as_str())];
        let answer = self.ask("PUT", &self.key(to), &parameters, Some(Payload::NONE), wanted).await?;
        good_body(&answer)?;
        self.end(to, Some(content));
        Ok(())
    }

    /// What a key holds: the digest of its object, none if there is none.
    async fn look(&mut self, slot: usize) -> Result<Option<[u8; 32]>, Failure> {
        let wanted = Wanted { digest: true, ..Wanted::default() };
        match self.ask("GET", &self.key(slot), &[], None, wanted).await {
            Ok(answer) => Ok(answer.digest),
            Err(Failure::Status(404, code)) if code == "NoSuchKey" => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn get(&mut self, slot: usize) -> Result<(), Failure> {
        let found = self.look(slot).await?;
        let allowed = self.slots.get(slot).is_some_and(|slot| slot.allows(&self.shared.material, found));
        match (allowed, found) {
            (true, _) => Ok(()),
            (false, None) => Err(Failure::Unexpected("an object is lost")),
            (false, Some(_)) => Err(Failure::Unexpected("an object holds what it should not")),
        }
    }

    async fn get_range(&mut self, slot: usize) -> Result<(), Failure> {
        let known = self.slots.get(slot).and_then(Slot::content).cloned();
        let Some(content) = known.filter(|content| content.size() > 0) else { return self.get(slot).await };
        let start = self.random.below(content.size());
        let end = self.random.within(start + 1..content.size() + 1);
        self.compose("GET", &self.key(slot), &[], None);
        // Presigned requests do not sign it.
        self.request.truncate(self.request.len().saturating_sub(2));
        self.request.extend_from_slice(format!("Range: bytes={start}-{}\r\n\r\n", end - 1).as_bytes());
        let wanted = Wanted { digest: true, ..Wanted::default() };
        let answer = self.connection.exchange(&mut self.request, Payload::NONE, wanted).await?;
        match answer.digest == Some(self.shared.material.digest(&content, start..end)) {
            true => Ok(()),
            false => Err(Failure::Unexpected("a range holds what it should not")),
        }
    }

    async fn head(&mut self, slot: usize) -> Result<(), Failure> {
        let wanted = Wanted { to_head: true, ..Wanted::default() };
        let found = match self.ask("HEAD", &self.key(slot), &[], None, wanted).await {
            Ok(answer) => Some(answer.length),
            Err(Failure::Status(404, _)) => None,
            Err(failure) => return Err(failure),
        };
        let known = self.slots.get(slot).and_then(Slot::content);
        match known.is_none_or(|content| found == Some(content.size())) {
            true => Ok(()),
            false => Err(Failure::Unexpected("the object's length is another")),
        }
    }

    async fn list(&mut self) -> Result<(), Failure> {
        let prefix = format!("clients/{:04}/", self.number);
        let wanted = Wanted { body: true, ..Wanted::default() };
        let parameters = [("list-type", "2"), ("prefix", &prefix)];
        let answer = self.ask("GET", "", &parameters, None, wanted).await?;
        let now = Instant::now();
        for slot in 0..self.slots.len() {
            let known = self.slots.get(slot).filter(|it| it.rests(now) && it.content().is_some());
            if known.is_some() && !answer.body.contains(&format!("<Key>{}</Key>", self.key(slot))) {
                return Err(Failure::Unexpected("a listing lacks an object"));
            }
        }
        Ok(())
    }

    async fn create_upload(&mut self, slot: usize) -> Result<String, Failure> {
        let wanted = Wanted { body: true, ..Wanted::default() };
        let answer = self.ask("POST", &self.key(slot), &[("uploads", "")], Some(Payload::NONE), wanted).await?;
        element(&answer.body, "UploadId").map(str::to_owned).ok_or(Failure::Unexpected("no upload id"))
    }

    async fn send_part(
        &mut self,
        slot: usize,
        upload: &str,
        number: usize,
        sizes: std::ops::Range<u64>,
    ) -> Result<(Piece, String), Failure> {
        let (piece, shared, number) = (self.piece(sizes), Arc::clone(&self.shared), number.to_string());
        let parameters = [("partNumber", number.as_str()), ("uploadId", upload)];
        let wanted = Wanted { etag: true, ..Wanted::default() };
        let payload = Some(shared.material.payload(piece));
        let answer = self.ask("PUT", &self.key(slot), &parameters, payload, wanted).await?;
        Ok((piece, answer.etag.ok_or(Failure::Unexpected("no ETag"))?))
    }

    /// A whole upload; with a cut the client is gone in the middle of its end.
    async fn multipart(&mut self, slot: usize, cut: Option<Cut>) -> Result<(), Failure> {
        let upload = self.create_upload(slot).await?;
        let (mut pieces, mut list) = (Vec::new(), String::from("<CompleteMultipartUpload>"));
        // Parts of one size go into a grid, others into files of their own.
        let sizes = if self.random.below(2) == 0 { 128 << 10..(128 << 10) + 1 } else { PART };
        for number in 1..=2 + self.random.below(4) as usize {
            let (piece, etag) = self.send_part(slot, &upload, number, sizes.clone()).await?;
            pieces.push(piece);
            // Writing to a string cannot fail.
            let _ = write!(list, "<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag></Part>");
        }
        list.push_str("</CompleteMultipartUpload>");
        let (content, payload) = (Content(pieces), Payload { pattern: list.as_bytes(), length: list.len() as u64 });
        let parameters = [("uploadId", upload.as_str())];
        self.begin(slot, Some(content.clone()));
        if let Some(cut) = cut {
            self.compose("POST", &self.key(slot), &parameters, Some(payload.length));
            return self.leave(payload, cut).await;
        }
        let wanted = Wanted { body: true, ..Wanted::default() };
        let answer = self.ask("POST", &self.key(slot), &parameters, Some(payload), wanted).await?;
        good_body(&answer)?;
        self.end(slot, Some(content));
        Ok(())
    }

    async fn abort_upload(&mut self, slot: usize) -> Result<(), Failure> {
        let upload = self.create_upload(slot).await?;
        self.send_part(slot, &upload, 1, PART).await?;
        let parameters = [("uploadId", upload.as_str())];
        self.ask("DELETE", &self.key(slot), &parameters, None, Wanted::default()).await.map(drop)
    }

    /// Something that the node must refuse, and just so.
    async fn wrong(&mut self) -> Result<(), Failure> {
        let (kind, wanted) = (self.random.below(4), Wanted::default());
        let (status, code, answer) = match kind {
            0 => (404, "NoSuchKey", self.ask("GET", "never/written", &[], None, wanted).await),
            1 => {
                let parameters = [("uploadId", "bm8tc3VjaC11cGxvYWQ")];
                (404, "NoSuchUpload", self.ask("DELETE", "never/written", &parameters, None, wanted).await)
            }
            2 => {
                let parameters = [("list-type", "2"), ("max-keys", "-1")];
                (400, "InvalidArgument", self.ask("GET", "", &parameters, None, wanted).await)
            }
            _ => {
                self.compose("GET", "never/written", &[], None);
                let forged = String::from_utf8_lossy(&self.request).replace("X-Amz-Signature=", "X-Amz-Signature=0");
                self.request = forged.into_bytes();
                let answer = self.connection.exchange(&mut self.request, Payload::NONE, wanted).await;
                (403, "SignatureDoesNotMatch", answer)
            }
        };
        match answer {
            Err(Failure::Status(found, of)) if found == status && of == code => {
                *self.shared.tally().refusals.entry(format!("{status} {code}")).or_default() += 1;
                Ok(())
            }
            Ok(_) => Err(Failure::Unexpected("what is wrong was taken")),
            Err(failure) => Err(failure),
        }
    }

    async fn leave(&mut self, payload: Payload<'_>, cut: Cut) -> Result<(), Failure> {
        let with_reset = self.random.below(2) == 0;
        self.connection.leave(&self.request, payload, cut, with_reset).await
    }

    /// What is not sent to its end must never be there: nothing is noted of it.
    async fn cut_put(&mut self, slot: usize) -> Result<(), Failure> {
        let sizes = if self.random.below(2) == 0 { 2..SMALL.end } else { LARGE };
        let (piece, shared) = (self.piece(sizes), Arc::clone(&self.shared));
        let payload = shared.material.payload(piece);
        self.compose("PUT", &self.key(slot), &[], Some(payload.length));
        let sent = self.random.below(payload.length);
        self.leave(payload, Cut::InBody(sent)).await
    }

    async fn cut_put_answer(&mut self, slot: usize) -> Result<(), Failure> {
        let (piece, shared) = (self.piece(1..LARGE.end), Arc::clone(&self.shared));
        let payload = shared.material.payload(piece);
        self.compose("PUT", &self.key(slot), &[], Some(payload.length));
        self.begin(slot, Some(Content(vec![piece])));
        self.leave(payload, Cut::InAnswer(0)).await
    }

    async fn cut_get(&mut self, slot: usize) -> Result<(), Failure> {
        let size = self.slots.get(slot).and_then(Slot::content).map_or(0, Content::size);
        self.compose("GET", &self.key(slot), &[], None);
        let read = usize::try_from(self.random.below(size + 200)).unwrap_or(0);
        self.leave(Payload::NONE, Cut::InAnswer(read)).await
    }

    async fn cut_part(&mut self, slot: usize) -> Result<(), Failure> {
        let upload = self.create_upload(slot).await?;
        if self.random.below(2) == 0 {
            self.send_part(slot, &upload, 1, PART).await?;
        }
        let (piece, shared) = (self.piece(PART), Arc::clone(&self.shared));
        let payload = shared.material.payload(piece);
        let parameters = [("partNumber", "2"), ("uploadId", upload.as_str())];
        self.compose("PUT", &self.key(slot), &parameters, Some(payload.length));
        let sent = self.random.below(payload.length);
        self.leave(payload, Cut::InBody(sent)).await
    }

    /// Compares every key with what it may hold, in the bucket that it was written to or in another one; counts what should not be.
    pub async fn compare(mut self, at: Option<Arc<Site>>) -> Self {
        if let Some(site) = at {
            self.site = site;
        }
        self.hang_up();
        for slot in 0..self.slots.len() {
            let done = tokio::time::timeout(PATIENCE, self.get(slot)).await.unwrap_or(Err(Failure::TimedOut));
            self.shared.progress.step(0, done.is_err());
            if let Err(failure) = done {
                self.shared.fault(format!("{}, at the end: {failure}", self.site.bucket));
            }
        }
        self.hang_up();
        self
    }

    /// Closes its connection.
    pub fn hang_up(&mut self) {
        self.connection = Connection::new(self.site.address);
    }

    /// How many keys hold something for certain.
    pub fn certain(&self) -> u64 {
        self.slots.iter().filter(|slot| slot.content().is_some()).count() as u64
    }

    /// The bucket that it writes to.
    pub fn bucket(&self) -> &str {
        &self.site.bucket
    }
}

/// S3 may answer 200 and tell of an error in the body.
fn good_body(answer: &Answer) -> Result<(), Failure> {
    match element(&answer.body, "ETag") {
        Some(_) => Ok(()),
        None => Err(Failure::Status(200, element(&answer.body, "Code").unwrap_or_default().to_owned())),
    }
}
