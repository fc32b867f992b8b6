//! What a node or a directory holds, kept up to date.
//!
//! One task each. It reads with a one-shot watch on everything that it reads, waits for one of them to
//! fire, and reads what has changed with a new one. All is read again when the connection comes back,
//! in a new session, and now and then: a watch that got lost costs time, not truth. The channel keeps
//! the newest snapshot only, so a slow reader misses what lay between, and never the end.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use crate::client::{Client, Failure, Watcher};
use crate::error::Error;
use crate::paths;
use crate::records::Record;
use crate::session::{Cluster, Core};
use crate::store::{Children, Node, READS_AT_ONCE, Versioned, decode};

/// What is known of a node or directory. No data is not dead: only `Absent` says that it is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot<T> {
    /// It cannot be read now, or not be understood; whether it is there is not known.
    Unknown {
        /// What it was when it was last read, if it was there.
        last: Option<Arc<T>>,
        /// Why it cannot be read.
        why: String,
    },
    /// It is not there.
    Absent,
    /// This is what it holds.
    Present(Arc<T>),
}

impl<T> Snapshot<T> {
    /// What it holds, if that is known now.
    pub fn present(&self) -> Option<&Arc<T>> {
        match self {
            Snapshot::Present(value) => Some(value),
            Snapshot::Absent | Snapshot::Unknown { .. } => None,
        }
    }

    /// What it holds, or held when it was last read.
    pub fn last(&self) -> Option<&Arc<T>> {
        match self {
            Snapshot::Present(value) => Some(value),
            Snapshot::Unknown { last, .. } => last.as_ref(),
            Snapshot::Absent => None,
        }
    }

    /// Whether it is not known now.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Snapshot::Unknown { .. })
    }
}

/// The newest [`Snapshot`] of something. It is followed until the last clone is dropped.
#[derive(Debug)]
pub struct Watch<T> {
    receiver: watch::Receiver<Snapshot<T>>,
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Watch<T> {
        Watch { receiver: self.receiver.clone() }
    }
}

impl<T> Watch<T> {
    /// The newest snapshot.
    pub fn current(&self) -> Snapshot<T> {
        match &*self.receiver.borrow() {
            Snapshot::Unknown { last, why } => Snapshot::Unknown { last: last.clone(), why: why.clone() },
            Snapshot::Absent => Snapshot::Absent,
            Snapshot::Present(value) => Snapshot::Present(value.clone()),
        }
    }

    /// Waits for a snapshot that this handle has not returned from here yet, and returns it.
    ///
    /// # Errors
    /// [`Error::Closed`] once the cluster is closed.
    pub async fn changed(&mut self) -> Result<Snapshot<T>, Error> {
        self.receiver.changed().await.map_err(|_| Error::Closed)?;
        self.receiver.mark_unchanged();
        Ok(self.current())
    }

    /// Waits for a snapshot that fits; the newest one may.
    ///
    /// # Errors
    /// [`Error::Closed`] once the cluster is closed.
    pub async fn wait_for(&mut self, fits: impl FnMut(&Snapshot<T>) -> bool) -> Result<Snapshot<T>, Error> {
        self.receiver.wait_for(fits).await.map_err(|_| Error::Closed)?;
        Ok(self.current())
    }
}

impl Cluster {
    /// Follows a node.
    pub fn watch_node<R: Record>(&self, path: &str) -> Watch<Versioned<R>> {
        self.watch(NodeReader { path: path.to_owned(), node: None })
    }

    /// Follows the names in a directory.
    pub fn watch_children(&self, path: &str) -> Watch<BTreeSet<String>> {
        self.watch(NamesReader { path: path.to_owned(), names: None })
    }

    /// Follows a directory and what its nodes hold.
    pub fn watch_tree<K, R>(&self, path: &str) -> Watch<Children<K, R>>
    where
        K: From<String> + Clone + Ord + Send + Sync + 'static,
        R: Record,
    {
        self.watch((TreeReader { path: path.to_owned(), nodes: None }, std::marker::PhantomData::<fn() -> K>))
    }

    fn watch<S: Source>(&self, source: S) -> Watch<S::Content> {
        let unread = Snapshot::Unknown { last: None, why: "it was not read yet".to_owned() };
        let (sender, receiver) = watch::channel(unread);
        tokio::spawn(follow(self.core.clone(), source, sender));
        Watch { receiver }
    }
}

/// What is to be read again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    /// The node or directory itself.
    This,
    /// A node of the directory.
    Child(String),
}

/// Watches that have not fired yet, with what is to be read when they do.
type Watchers = FuturesUnordered<Pin<Box<dyn Future<Output = Dirty> + Send>>>;

/// Watches that a reading has set.
type Fresh = Vec<(Watcher, Dirty)>;

fn add(watchers: &mut Watchers, fresh: Fresh) {
    for (watcher, dirty) in fresh {
        watchers.push(Box::pin(watcher.fired().map(|()| dirty)));
    }
}

/// Why there is no content.
enum Missing {
    Absent,
    Unknown(String),
}

/// Something that can be read in whole, and in part after a watch has fired.
trait Source: Send + 'static {
    type Content: PartialEq + Send + Sync + 'static;

    /// The path, for messages.
    fn path(&self) -> &str;

    /// Reads everything.
    fn read(
        &mut self,
        client: &Client,
        fresh: &mut Fresh,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Reads what may have changed.
    fn refresh(
        &mut self,
        client: &Client,
        fresh: &mut Fresh,
        dirty: BTreeSet<Dirty>,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// What was read.
    fn content(&self) -> Result<Self::Content, Missing>;
}

async fn follow<S: Source>(core: Arc<Core>, mut source: S, sender: watch::Sender<Snapshot<S::Content>>) {
    let following = async {
        let mut watchers = Watchers::new();
        let mut link = core.link();
        loop {
            let Some((client, epoch)) = core.ready().await else {
                return;
            };
            // The watches of the last reading are dropped after those of this one are there: without
            // any, the library would ask the server to forget the path.
            let mut fresh = Fresh::new();
            let reading = async {
                client.sync(source.path()).await?;
                source.read(&client, &mut fresh).await
            };
            if let Err(why) = patiently(&core, reading).await {
                debug!(path = source.path(), error = why, "cannot read what is watched, trying again");
                publish_unknown(&sender, why);
                sleep(PAUSE).await;
                continue;
            }
            drop(client);
            watchers.clear();
            add(&mut watchers, fresh);
            publish(&sender, &source);
            let resync = Instant::now() + core.options.resync;
            loop {
                let mut dirty = BTreeSet::new();
                tokio::select! {
                    changed = link.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        if link.borrow_and_update().epoch() == Some(epoch) {
                            continue;
                        }
                        publish_unknown(&sender, "there is no connection to ZooKeeper".to_owned());
                        break;
                    }
                    () = sleep_until(resync) => break,
                    Some(fired) = watchers.next() => dirty.extend([fired]),
                }
                while let Some(Some(fired)) = watchers.next().now_or_never() {
                    dirty.insert(fired);
                }
                let Some((client, now)) = core.ready().await else {
                    return;
                };
                if now != epoch {
                    break;
                }
                let mut fresh = Fresh::new();
                if let Err(why) = patiently(&core, source.refresh(&client, &mut fresh, dirty)).await {
                    publish_unknown(&sender, why);
                    break;
                }
                add(&mut watchers, fresh);
                publish(&sender, &source);
            }
        }
    };
    tokio::select! {
        biased;
        () = core.closed() => {}
        () = sender.closed() => {}
        () = following => {}
    }
}

/// How long to wait after a reading that failed.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);

async fn patiently(core: &Core, reading: impl Future<Output = Result<(), Failure>>) -> Result<(), String> {
    match timeout(core.options.operation_timeout, reading).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(Failure::Denied)) => Err("ZooKeeper does not allow to read it".to_owned()),
        Ok(Err(Failure::Broken(reason) | Failure::Refused(reason))) => Err(reason),
        Ok(Err(failure)) => Err(format!("{failure:?}")),
        Err(_) => Err(format!("no answer within {:?}", core.options.operation_timeout)),
    }
}

fn publish<S: Source>(sender: &watch::Sender<Snapshot<S::Content>>, source: &S) {
    let new = match source.content() {
        Ok(content) => Snapshot::Present(Arc::new(content)),
        Err(Missing::Absent) => Snapshot::Absent,
        Err(Missing::Unknown(why)) => return publish_unknown(sender, why),
    };
    sender.send_if_modified(|last| {
        let is_new = *last != new;
        if is_new {
            *last = new;
        }
        is_new
    });
}

fn publish_unknown<T>(sender: &watch::Sender<Snapshot<T>>, why: String) {
    sender.send_if_modified(|snapshot| {
        let is_new = !matches!(snapshot, Snapshot::Unknown { why: known, .. } if *known == why);
        *snapshot = Snapshot::Unknown { last: snapshot.last().cloned(), why };
        is_new
    });
}

struct NodeReader<R> {
    path: String,
    /// None if it is absent.
    node: Option<Node<R>>,
}

impl<R: Record> Source for NodeReader<R> {
    type Content = Versioned<R>;

    fn path(&self) -> &str {
        &self.path
    }

    async fn read(&mut self, client: &Client, fresh: &mut Fresh) -> Result<(), Failure> {
        let (content, watcher) = client.get_watched(&self.path).await?;
        fresh.push((watcher, Dirty::This));
        self.node = content.map(|content| decode(&self.path, &content));
        Ok(())
    }

    async fn refresh(
        &mut self,
        client: &Client,
        fresh: &mut Fresh,
        _: BTreeSet<Dirty>,
    ) -> Result<(), Failure> {
        self.read(client, fresh).await
    }

    fn content(&self) -> Result<Versioned<R>, Missing> {
        match &self.node {
            None => Err(Missing::Absent),
            Some(Ok(node)) => Ok(node.clone()),
            Some(Err(error)) => Err(Missing::Unknown(error.to_string())),
        }
    }
}

struct NamesReader {
    path: String,
    /// None if the directory is absent.
    names: Option<BTreeSet<String>>,
}

impl Source for NamesReader {
    type Content = BTreeSet<String>;

    fn path(&self) -> &str {
        &self.path
    }

    async fn read(&mut self, client: &Client, fresh: &mut Fresh) -> Result<(), Failure> {
        let (names, watcher) = client.list_watched(&self.path).await?;
        fresh.push((watcher, Dirty::This));
        self.names = names.map(|names| names.iter().map(|name| paths::name_of(name)).collect());
        Ok(())
    }

    async fn refresh(
        &mut self,
        client: &Client,
        fresh: &mut Fresh,
        _: BTreeSet<Dirty>,
    ) -> Result<(), Failure> {
        self.read(client, fresh).await
    }

    fn content(&self) -> Result<BTreeSet<String>, Missing> {
        self.names.clone().ok_or(Missing::Absent)
    }
}

struct TreeReader<R> {
    path: String,
    /// By name; None if the directory is absent.
    nodes: Option<BTreeMap<String, Node<R>>>,
}

impl<R: Record> TreeReader<R> {
    /// Reads some nodes; those that are gone are left out.
    async fn read_nodes(
        &self,
        client: &Client,
        fresh: &mut Fresh,
        names: impl IntoIterator<Item = String>,
    ) -> Result<Vec<(String, Node<R>)>, Failure> {
        let nodes = stream::iter(names).map(|name| async move {
            let path = paths::child(&self.path, &name);
            let (content, watcher) = client.get_watched(&path).await?;
            // One that is gone is watched too: it may be back before the directory is read again.
            let node = content.map(|content| (name.clone(), decode(&path, &content)));
            Ok::<_, Failure>((node, watcher, name))
        });
        let read: Vec<_> = nodes.buffered(READS_AT_ONCE).try_collect().await?;
        let nodes = read.into_iter().filter_map(|(node, watcher, name)| {
            fresh.push((watcher, Dirty::Child(name)));
            node
        });
        Ok(nodes.collect())
    }
}

impl<K, R> Source for (TreeReader<R>, std::marker::PhantomData<fn() -> K>)
where
    K: From<String> + Clone + Ord + Send + Sync + 'static,
    R: Record,
{
    type Content = Children<K, R>;

    fn path(&self) -> &str {
        &self.0.path
    }

    async fn read(&mut self, client: &Client, fresh: &mut Fresh) -> Result<(), Failure> {
        let tree = &mut self.0;
        tree.nodes = None;
        let (names, watcher) = client.list_watched(&tree.path).await?;
        fresh.push((watcher, Dirty::This));
        if let Some(names) = names {
            let names: Vec<String> = names.iter().map(|name| paths::name_of(name)).collect();
            tree.nodes = Some(tree.read_nodes(client, fresh, names).await?.into_iter().collect());
        }
        Ok(())
    }

    async fn refresh(
        &mut self,
        client: &Client,
        fresh: &mut Fresh,
        dirty: BTreeSet<Dirty>,
    ) -> Result<(), Failure> {
        let tree = &mut self.0;
        let mut stale: BTreeSet<String> = BTreeSet::new();
        if dirty.contains(&Dirty::This) {
            let (names, watcher) = client.list_watched(&tree.path).await?;
            fresh.push((watcher, Dirty::This));
            let Some(names) = names else {
                tree.nodes = None;
                return Ok(());
            };
            let names: BTreeSet<String> = names.iter().map(|name| paths::name_of(name)).collect();
            let known = tree.nodes.get_or_insert_default();
            known.retain(|name, _| names.contains(name));
            stale.extend(names.into_iter().filter(|name| !known.contains_key(name)));
        }
        stale.extend(dirty.into_iter().filter_map(|dirty| match dirty {
            Dirty::Child(name) => Some(name),
            Dirty::This => None,
        }));
        let read = tree.read_nodes(client, fresh, stale.iter().cloned()).await?;
        let known = tree.nodes.get_or_insert_default();
        known.retain(|name, _| !stale.contains(name));
        known.extend(read);
        Ok(())
    }

    fn content(&self) -> Result<Children<K, R>, Missing> {
        let nodes = self.0.nodes.as_ref().ok_or(Missing::Absent)?;
        Ok(nodes.iter().map(|(name, node)| (K::from(name.clone()), node.clone())).collect())
    }
}
