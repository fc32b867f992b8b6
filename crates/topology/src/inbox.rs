//! Messages to a bolt task from other threads: the way home for async results.

use std::any::{Any, type_name};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use storm_model::TaskId;

use crate::error::ComponentError;

/// A sender of messages of type `M` to one task, whose `on_message` gets them in order.
pub struct Inbox<M> {
    port: Arc<dyn MessagePort>,
    task: TaskId,
    message: PhantomData<fn(M)>,
}

/// Where messages to a task go.
pub trait MessagePort: Send + Sync {
    /// Puts a message into the task's queue; never blocks. A full or closed queue gives it back.
    ///
    /// # Errors
    /// The message and why it was refused.
    fn post(&self, task: TaskId, message: Message) -> Result<(), (Refused, Message)>;
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// 65,536 messages wait already: the bolt does not keep up.
    Full,
    /// The task has ended.
    Closed,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::Full => "the task's inbox is full",
            Refused::Closed => "the task has ended",
        })
    }
}

/// A message that was not taken, with the reason.
pub struct SendError<M> {
    /// The reason.
    pub refused: Refused,
    /// The message.
    pub message: M,
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendError({:?})", self.refused)
    }
}

impl<M> fmt::Display for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refused.fmt(f)
    }
}

impl<M> std::error::Error for SendError<M> {}

impl<M: Send + 'static> Inbox<M> {
    /// For engines and test kits.
    pub fn new(port: Arc<dyn MessagePort>, task: TaskId) -> Inbox<M> {
        Inbox { port, task, message: PhantomData }
    }

    /// Sends a message to the task, from any thread; never blocks.
    ///
    /// # Errors
    /// The message comes back when the inbox is full (65,536 messages) or the task has ended.
    pub fn send(&self, message: M) -> Result<(), SendError<M>> {
        self.port.post(self.task, Message::new(message)).map_err(|(refused, message)| SendError {
            refused,
            message: message.take().expect("the message that was just wrapped"),
        })
    }
}

impl<M> Clone for Inbox<M> {
    fn clone(&self) -> Self {
        Inbox { port: self.port.clone(), task: self.task, message: PhantomData }
    }
}

/// A message as `on_message` gets it.
pub struct Message(Box<dyn Any + Send>);

impl Message {
    /// Wraps a message.
    pub fn new(message: impl Any + Send) -> Message {
        Message(Box::new(message))
    }

    /// The message as the type that was sent.
    ///
    /// # Errors
    /// It has another type.
    pub fn take<M: 'static>(self) -> Result<M, ComponentError> {
        match self.0.downcast::<M>() {
            Ok(message) => Ok(*message),
            Err(_) => Err(ComponentError::msg(format!("a message that is not a {}", type_name::<M>()))),
        }
    }

    /// Whether the message is of type `M`.
    pub fn is<M: 'static>(&self) -> bool {
        self.0.is::<M>()
    }
}
