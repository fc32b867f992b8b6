//! Who emitted a row: from the numbers on it to names.

use std::sync::Arc;

use storm_model::{ComponentId, TaskId, TaskTable, TopologySpec};
use storm_row::RowRef;
use storm_topology::StreamInfo;

/// Not an input of the bolt.
pub(crate) const NO_INPUT: u16 = u16::MAX;

/// The way by which the row before came.
pub(crate) struct Known<'a> {
    source: TaskId,
    stream: u16,
    input: usize,
    info: &'a StreamInfo,
}

/// Streams of all components, and which of them are inputs of one bolt.
pub(crate) struct Sources {
    /// Component by task number.
    component_of: Arc<[u32]>,
    /// By component and stream.
    streams: Arc<[Vec<Arc<StreamInfo>>]>,
    /// By component and stream: which input of this bolt, or [`NO_INPUT`].
    inputs: Vec<Vec<u16>>,
}

impl Sources {
    /// The table that all executors share; without inputs.
    pub(crate) fn new(spec: &TopologySpec, tasks: &TaskTable) -> Sources {
        let ids: Vec<&ComponentId> = spec.components.keys().collect();
        // Task numbers start at 1.
        let mut component_of = vec![u32::MAX];
        for (i, id) in ids.iter().enumerate() {
            component_of.extend(tasks.tasks_of(id.as_str()).map(|_| i as u32));
        }
        let streams_of = |id: &ComponentId| {
            let info = |s: &storm_model::StreamSpec| {
                let (component, stream) = (id.clone(), s.id.clone());
                Arc::new(StreamInfo { component, stream, fields: s.fields.clone() })
            };
            spec.components[id].outputs.iter().map(info).collect()
        };
        Sources {
            component_of: component_of.into(),
            streams: ids.into_iter().map(streams_of).collect(),
            inputs: Vec::new(),
        }
    }

    /// The same table with the inputs of a component.
    pub(crate) fn of_bolt(&self, spec: &TopologySpec, bolt: &ComponentId) -> Sources {
        let inputs = &spec.components[bolt].inputs;
        let number = |info: &Arc<StreamInfo>| {
            let at = inputs.iter().position(|i| i.component == info.component && i.stream == info.stream);
            at.map_or(NO_INPUT, |i| i as u16)
        };
        Sources {
            component_of: self.component_of.clone(),
            streams: self.streams.clone(),
            inputs: self.streams.iter().map(|s| s.iter().map(number).collect()).collect(),
        }
    }

    /// The stream that a row of `source` came by.
    fn info(&self, source: TaskId, stream: u16) -> &StreamInfo {
        &self.streams[self.component_of[source.0 as usize] as usize][usize::from(stream)]
    }

    /// The number of fields of a stream that is an input of the bolt.
    pub(crate) fn input_fields(&self, source: TaskId, stream: u16) -> Option<usize> {
        let component = *self.component_of.get(source.0 as usize)? as usize;
        let input = self.inputs.get(component)?.get(usize::from(stream))?;
        (*input != NO_INPUT).then(|| self.streams[component][usize::from(stream)].fields.len())
    }

    pub(crate) fn info_arc(&self, source: TaskId, stream: u16) -> Arc<StreamInfo> {
        self.streams[self.component_of[source.0 as usize] as usize][usize::from(stream)].clone()
    }

    /// Which input of the bolt a row came by, and the stream. `known` is the row before: most rows
    /// of a batch came the same way.
    #[inline(always)]
    pub(crate) fn input<'a>(
        &'a self,
        row: RowRef<'_>,
        known: &mut Option<Known<'a>>,
    ) -> (usize, &'a StreamInfo) {
        let (source, stream) = (row.source(), row.stream());
        match known {
            Some(known) if known.source == source && known.stream == stream => (known.input, known.info),
            _ => self.look_up(source, stream, known),
        }
    }

    #[inline(never)]
    fn look_up<'a>(
        &'a self,
        source: TaskId,
        stream: u16,
        known: &mut Option<Known<'a>>,
    ) -> (usize, &'a StreamInfo) {
        let info = self.info(source, stream);
        let input =
            usize::from(self.inputs[self.component_of[source.0 as usize] as usize][usize::from(stream)]);
        *known = Some(Known { source, stream, input, info });
        (input, info)
    }
}
