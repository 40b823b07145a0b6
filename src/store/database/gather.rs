//! Many who ask the same question at the same time are answered by one statement.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::error::StoreError;
use super::pool::{Connections, lend};
use super::store::Store;

/// How many reads of one kind may be under way. Thousands may ask at once; the pool is not theirs alone.
const CONCURRENT_READS: usize = 2;

/// How many one read answers at most.
const LARGEST_READ: usize = 400;

/// How long one read may take. A hung server must not hold everybody's next read as well.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the answers to all the questions, in their order.
type Read<K, V> = dyn for<'a> Fn(&'a ClientWrapper, &'a [K]) -> BoxFuture<'a, Result<Vec<V>, StoreError>> + Send + Sync;

/// Gathers questions while a read is under way and answers them with the next. An answer is always from a read that began
/// after its question was asked; a lone question is read at once.
pub(in crate::store) struct Gather<K, V> {
    connections: Connections,
    read: Arc<Read<K, V>>,
    waiting: Arc<Mutex<Waiting<K, V>>>,
}

struct Waiting<K, V> {
    questions: Vec<(K, oneshot::Sender<Result<V, StoreError>>)>,
    readers: usize,
}

impl<K: Send + Sync + 'static, V: Send + 'static> Gather<K, V> {
    pub(in crate::store) fn new(
        store: &Store,
        read: impl for<'a> Fn(&'a ClientWrapper, &'a [K]) -> BoxFuture<'a, Result<Vec<V>, StoreError>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let waiting = Waiting { questions: Vec::new(), readers: 0 };
        Self { connections: store.connections.clone(), read: Arc::new(read), waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// The answer to one question.
    ///
    /// # Errors
    /// If the read that would have answered it failed.
    pub(in crate::store) async fn ask(&self, question: K) -> Result<V, StoreError> {
        let (answer, answered) = oneshot::channel();
        let is_reader_needed = {
            let mut waiting = lock(&self.waiting);
            waiting.questions.push((question, answer));
            waiting.readers < CONCURRENT_READS && {
                waiting.readers += 1;
                true
            }
        };
        if is_reader_needed {
            // of its own, as whoever asked may go while others wait for the same read
            let reader = Reader { waiting: Arc::clone(&self.waiting), is_counted: true };
            tokio::spawn(read_while_asked(self.connections.clone(), Arc::clone(&self.read), reader));
        }
        answered.await.unwrap_or_else(|_| Err(StoreError::unreadable("an answer", "the read was given up")))
    }
}

async fn read_while_asked<K: Sync, V>(connections: Connections, read: Arc<Read<K, V>>, mut reader: Reader<K, V>) {
    loop {
        let client = connections.borrow(PATIENCE).await;
        let Some((questions, askers)) = reader.take() else { return };
        let answers = match client {
            Ok(client) => lend(client, async |client| read(client, &questions).await).await,
            Err(error) => Err(error),
        };
        match answers {
            // whoever is gone needs no answer
            Ok(answers) => askers.into_iter().zip(answers).for_each(|(asker, answer)| drop(asker.send(Ok(answer)))),
            Err(error) => {
                let error = Arc::new(error);
                askers.into_iter().for_each(|asker| drop(asker.send(Err(StoreError::Shared(Arc::clone(&error))))));
            }
        }
    }
}

/// One of the readers. It is counted until it finds nothing to do, or panics.
struct Reader<K, V> {
    waiting: Arc<Mutex<Waiting<K, V>>>,
    is_counted: bool,
}

type Askers<V> = Vec<oneshot::Sender<Result<V, StoreError>>>;

impl<K, V> Reader<K, V> {
    /// What somebody still waits for, oldest first. Where nothing is, this reader stops being counted in the same breath, so
    /// that whoever asks next starts another.
    fn take(&mut self) -> Option<(Vec<K>, Askers<V>)> {
        let mut waiting = lock(&self.waiting);
        waiting.questions.retain(|(_, asker)| !asker.is_closed());
        if waiting.questions.is_empty() {
            waiting.readers -= 1;
            self.is_counted = false;
            return None;
        }
        let taken = waiting.questions.len().min(LARGEST_READ);
        Some(waiting.questions.drain(..taken).unzip())
    }
}

impl<K, V> Drop for Reader<K, V> {
    fn drop(&mut self) {
        if self.is_counted {
            let mut waiting = lock(&self.waiting);
            waiting.readers -= 1;
            // they are told that nobody reads, rather than left to wait
            waiting.questions.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
