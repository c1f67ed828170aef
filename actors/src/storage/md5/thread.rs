//! The thread on which messages meet. A message is hashed when somebody cannot go on without it, and then together with
//! all others that have bytes by now: the busier the node, the cheaper each of them. Those that came along lately are
//! waited for, but not for long. A message that is alone is hashed at once, beside whatever else its request does.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::lanes::{LANES_MAX, Width};
use super::message::Md5;
use crate::storage::StorageError;

/// How long somebody who waits for a message waits for its company too.
const PATIENCE: Duration = Duration::from_millis(2);

/// The way to the threads. Cheap to clone; they end when the last clone is gone.
#[derive(Debug, Clone)]
pub(in crate::storage) struct Md5Thread(Arc<Door>);

/// Ends the threads when it is dropped.
#[derive(Debug)]
struct Door(Arc<Meeting>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A message under way; dropping it lets go of its bytes.
#[derive(Debug)]
pub(in crate::storage) struct Md5Message {
    meeting: Arc<Meeting>,
    id: u64,
}

#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    messages: HashMap<u64, Message>,
    id_next: u64,
    /// Messages with bytes to hash; some may be gone.
    queue: VecDeque<u64>,
    /// Since when somebody waits for a message in the queue.
    hurried: Option<Instant>,
    /// How often messages were taken from the queue.
    rounds: u64,
    has_ended: bool,
}

#[derive(Debug, Default)]
struct Message {
    md5: Md5,
    /// Bytes to hash, in order.
    bytes: Vec<Bytes>,
    /// A thread hashes earlier bytes of it.
    is_under_way: bool,
    /// The last round that it came along in.
    round: u64,
    /// All of its bytes were given.
    is_whole: bool,
    /// Who waits until all bytes are hashed.
    waiting: Option<oneshot::Sender<()>>,
}

/// What a thread hashes of one message.
struct Turn {
    id: u64,
    md5: Md5,
    bytes: Vec<Bytes>,
}

impl Turn {
    fn nth(&mut self, nth: usize) -> Option<(&mut Md5, &[u8])> {
        self.bytes.get(nth).map(|bytes| (&mut self.md5, bytes.as_ref()))
    }
}

impl Md5Thread {
    /// Starts one thread for every two processors: messages side by side outrun the disk.
    pub fn start(processors: usize) -> Result<Self, StorageError> {
        let meeting = Arc::new(Meeting::default());
        let width = Width::detect();
        for number in 0..processors.div_ceil(2).max(1) {
            let meeting = Door(Arc::clone(&meeting));
            std::thread::Builder::new()
                .name(format!("md5-{number}"))
                .spawn(move || run(width, &meeting.0))
                .map_err(|e| StorageError::io("start", "thread", e))?;
        }
        Ok(Self(Arc::new(Door(meeting))))
    }

    /// An empty message.
    pub fn begin(&self) -> Md5Message {
        let mut state = self.0.0.state.lock();
        let id = state.id_next;
        state.id_next += 1;
        state.messages.insert(id, Message::default());
        Md5Message { meeting: Arc::clone(&self.0.0), id }
    }
}

impl Md5Message {
    /// Takes the next bytes, to hash them sooner or later.
    pub fn update(&self, bytes: Bytes) {
        self.take(bytes, false);
    }

    /// Takes the last bytes.
    pub fn update_last(&self, bytes: Bytes) {
        self.take(bytes, true);
    }

    fn take(&self, bytes: Bytes, is_whole: bool) {
        let mut state = self.meeting.state.lock();
        let Some(message) = state.messages.get_mut(&self.id) else { return };
        message.is_whole = is_whole;
        let is_new = message.bytes.is_empty() && !message.is_under_way && !bytes.is_empty();
        if !bytes.is_empty() {
            message.bytes.push(bytes);
        }
        if is_new {
            state.queue.push_back(self.id);
        }
        self.meeting.wake(&state);
    }

    /// Waits until all bytes are hashed and let go of.
    pub async fn catch_up(&self) -> Result<(), StorageError> {
        let ended = || StorageError::Unavailable { reason: "the node is stopping".to_owned() };
        let answer = {
            let mut state = self.meeting.state.lock();
            let message = state.messages.get_mut(&self.id).ok_or_else(ended)?;
            if message.bytes.is_empty() && !message.is_under_way {
                return Ok(());
            }
            let (reply, answer) = oneshot::channel();
            message.waiting = Some(reply);
            if !message.is_under_way {
                state.hurry();
            }
            self.meeting.wake(&state);
            answer
        };
        answer.await.map_err(|_| ended())
    }

    /// The MD5 of all bytes.
    pub async fn finish(self) -> Result<Md5, StorageError> {
        self.catch_up().await?;
        let message = self.meeting.state.lock().messages.remove(&self.id);
        message.map(|message| message.md5).ok_or(StorageError::BodyUnfinished)
    }
}

impl Drop for Md5Message {
    fn drop(&mut self) {
        let mut state = self.meeting.state.lock();
        state.messages.remove(&self.id);
        // Perhaps another one is alone now.
        self.meeting.wake(&state);
    }
}

impl State {
    fn hurry(&mut self) {
        self.hurried.get_or_insert_with(Instant::now);
    }

    /// When the queue is to be hashed, as far as it is known.
    fn due(&self) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let is_full = self.queue.len() >= LANES_MAX || self.messages.len() <= 1;
        let hurried = self.hurried.map(|since| if self.expects_company() { since + PATIENCE } else { since });
        if is_full { Some(Instant::now()) } else { hurried }
    }

    /// Whether a message that came along lately will have more bytes soon.
    fn expects_company(&self) -> bool {
        self.messages.values().any(|message| {
            let is_idle = message.bytes.is_empty() && !message.is_under_way && !message.is_whole;
            is_idle && message.round > 0 && message.round + 1 >= self.rounds
        })
    }
}

impl Meeting {
    fn wake(&self, state: &State) {
        if state.due().is_some() {
            self.wake.notify_one();
        }
    }

    /// Waits for messages to hash; none at the end.
    fn next_turns(&self) -> Option<Vec<Turn>> {
        let mut state = self.state.lock();
        loop {
            if state.has_ended {
                return None;
            }
            match state.due() {
                Some(due) if due <= Instant::now() => {}
                Some(due) => {
                    self.wake.wait_until(&mut state, due);
                    continue;
                }
                None => {
                    self.wake.wait(&mut state);
                    continue;
                }
            }
            let mut turns = Vec::with_capacity(LANES_MAX);
            state.rounds += 1;
            let round = state.rounds;
            while turns.len() < LANES_MAX
                && let Some(id) = state.queue.pop_front()
            {
                if let Some(message) = state.messages.get_mut(&id) {
                    (message.is_under_way, message.round) = (true, round);
                    turns.push(Turn { id, md5: message.md5.clone(), bytes: std::mem::take(&mut message.bytes) });
                }
            }
            if state.queue.is_empty() {
                state.hurried = None;
            }
            if !turns.is_empty() {
                // What is left may be for another thread.
                self.wake(&state);
                return Some(turns);
            }
        }
    }

    fn put_back(&self, turns: Vec<Turn>) {
        let mut state = self.state.lock();
        for Turn { id, md5, bytes } in turns {
            // Whoever waits uses the memory again.
            drop(bytes);
            let Some(message) = state.messages.get_mut(&id) else { continue };
            (message.md5, message.is_under_way) = (md5, false);
            if message.bytes.is_empty() {
                // Nobody waits any more when the request was dropped.
                let _nobody = message.waiting.take().map(|waiting| waiting.send(()));
            } else {
                if message.waiting.is_some() {
                    state.hurry();
                }
                state.queue.push_back(id);
            }
        }
        self.wake(&state);
    }

    /// Nothing is hashed any more, and whoever waits learns of it.
    fn end(&self) {
        let mut state = self.state.lock();
        state.has_ended = true;
        state.messages.clear();
        self.wake.notify_all();
    }
}

fn run(width: Width, meeting: &Meeting) {
    while let Some(mut turns) = meeting.next_turns() {
        let most = turns.iter().map(|turn| turn.bytes.len()).max().unwrap_or(0);
        for nth in 0..most {
            let mut messages: Vec<_> = turns.iter_mut().filter_map(|turn| turn.nth(nth)).collect();
            Md5::update_many(width, &mut messages);
        }
        meeting.put_back(turns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(bytes: &[u8]) -> [u8; 16] {
        let mut md5 = Md5::default();
        md5.update(bytes);
        md5.finish()
    }

    fn queued(thread: &Md5Thread) -> usize {
        thread.0.0.state.lock().queue.len()
    }

    #[actix::test]
    async fn messages_wait_until_one_is_needed() {
        let thread = Md5Thread::start(1).unwrap();
        let messages: Vec<Md5Message> = (0..LANES_MAX - 1).map(|_| thread.begin()).collect();
        for (nth, message) in messages.iter().enumerate() {
            message.update(vec![nth as u8; 1000].into());
        }
        assert_eq!(queued(&thread), LANES_MAX - 1);
        messages[3].catch_up().await.unwrap();
        assert_eq!(queued(&thread), 0);
        for (nth, message) in messages.into_iter().enumerate() {
            message.update(vec![7; nth].into());
            message.update(vec![8; 100].into());
            let all = [vec![nth as u8; 1000], vec![7; nth], vec![8; 100]].concat();
            assert_eq!(message.finish().await.unwrap().finish(), digest(&all));
        }
    }

    #[actix::test]
    async fn the_one_that_stays_is_hashed_at_once() {
        let thread = Md5Thread::start(1).unwrap();
        let (first, second) = (thread.begin(), thread.begin());
        let bytes = Bytes::from(vec![1; 1000]);
        first.update(bytes.clone());
        drop(second);
        while !bytes.is_unique() {
            tokio::task::yield_now().await;
        }
        drop(thread);
        assert!(first.catch_up().await.is_err(), "the threads have ended");
    }
}
