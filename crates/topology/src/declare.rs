//! The streams a component declares.

use storm_model::{DEFAULT_STREAM, Fields, StreamId, StreamSpec};

/// Collects the streams that a component may emit to.
#[derive(Debug, Default)]
pub struct OutputDeclarer {
    streams: Vec<StreamSpec>,
}

impl OutputDeclarer {
    /// A declarer without streams.
    pub fn new() -> OutputDeclarer {
        OutputDeclarer::default()
    }

    /// Declares the stream `default` with these fields.
    pub fn fields<N: AsRef<str>>(&mut self, fields: impl IntoIterator<Item = N>) -> &mut Self {
        self.stream(DEFAULT_STREAM, fields)
    }

    /// Declares a stream with these fields.
    pub fn stream<N: AsRef<str>>(
        &mut self,
        id: impl Into<StreamId>,
        fields: impl IntoIterator<Item = N>,
    ) -> &mut Self {
        self.streams.push(StreamSpec { id: id.into(), fields: Fields::new(fields), direct: false });
        self
    }

    /// Declares a direct stream: each emit names the task that gets the tuple.
    pub fn direct_stream<N: AsRef<str>>(
        &mut self,
        id: impl Into<StreamId>,
        fields: impl IntoIterator<Item = N>,
    ) -> &mut Self {
        self.streams.push(StreamSpec { id: id.into(), fields: Fields::new(fields), direct: true });
        self
    }

    /// The streams in order of declaration.
    pub fn into_streams(self) -> Vec<StreamSpec> {
        self.streams
    }
}
