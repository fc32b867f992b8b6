//! The graph of a topology: components as boxes, streams as arrows, from left to right.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use storm_model::ComponentKind;

use crate::draw::colour::heat;
use crate::draw::{Html, escape, shortened};

const NODE_HEIGHT: f64 = 64.0;
/// Width of a letter of an edge's label, and of a node's name.
const LETTER: f64 = 5.7;
const NAME_LETTER: f64 = 7.4;
/// Letters of a label beyond which it is cut.
const LABEL_MAX: usize = 24;
const NAME_MAX: usize = 26;
/// Nodes beyond which a graph is drawn plainly: the library goes as deep into its stack as a graph is long,
/// and takes seconds for what nobody overlooks.
const NODES_MAX: usize = 200;
/// Layouts that are kept at most; then all are let go of.
const LAYOUTS: usize = 256;

/// What is drawn.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph {
    /// Boxes.
    pub(crate) nodes: Vec<Node>,
    /// Arrows between them.
    pub(crate) edges: Vec<Edge>,
}

/// A component.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Its id.
    pub(crate) name: String,
    /// Page of it, relative.
    pub(crate) href: String,
    /// Spout or bolt.
    pub(crate) kind: ComponentKind,
    /// Below the name: how much there is of it, and how fast it is.
    pub(crate) about: String,
    /// What to read when the pointer is there.
    pub(crate) title: String,
    /// Capacity of a bolt; none for spouts.
    pub(crate) load: Option<f64>,
    /// Errors that are known.
    pub(crate) errors: usize,
    /// Whether it holds the others up.
    pub(crate) is_bottleneck: bool,
    /// Whether the page is about it.
    pub(crate) is_here: bool,
}

/// A stream from one component to another.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    /// Index of the component that emits.
    pub(crate) from: usize,
    /// Index of the one that subscribes.
    pub(crate) to: usize,
    /// Stream and grouping. What is live stands in `rate`, so that the layout stays while it changes.
    pub(crate) label: String,
    /// Tuples a second, as text.
    pub(crate) rate: String,
    /// How wide, from 0 to 1.
    pub(crate) weight: f64,
    /// What to read when the pointer is there.
    pub(crate) title: String,
}

type Point = (f64, f64);

/// Where everything stands.
#[derive(Clone, Debug, Default)]
struct Layout {
    width: f64,
    height: f64,
    /// Middles of the nodes.
    nodes: Vec<Point>,
    /// Points of each edge, and the middle of its label.
    edges: Vec<(Vec<Point>, Point)>,
}

/// The graph as a picture.
pub(crate) fn draw(graph: &Graph) -> Html {
    let mut svg = Html::new();
    if graph.nodes.is_empty() {
        return svg;
    }
    let sizes: Vec<Point> = graph.nodes.iter().map(|node| (width(node), NODE_HEIGHT)).collect();
    let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to, label_size(edge))).collect();
    let layout = KEPT.get(&sizes, &edges);
    svg.put(format_args!(
        r#"<svg class="graph" viewBox="0 0 {:.0} {:.0}" style="--w:{:.0}px" role="img" aria-label="graph of the topology">"#,
        layout.width, layout.height, layout.width
    ));
    svg.put(format_args!(concat!(
        r#"<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" "#,
        r#"markerUnits="userSpaceOnUse" orient="auto"><path class="arrow" d="M0 0L8 4L0 8L2 4Z"/></marker></defs>"#
    )));
    for (edge, (points, _)) in graph.edges.iter().zip(&layout.edges) {
        let is_idle = if edge.weight > 0.0 { "" } else { " idle" };
        let is_fast = if edge.weight > 0.0 { r#"<path class="flow" d=""# } else { "" };
        let curve = curve(points);
        svg.put(format_args!(
            r#"<g class="edge{is_idle}" style="--weight:{:.1}"><title>{}</title><path class="way" d="{curve}" marker-end="url(#arrow)"/>"#,
            1.2 + 3.3 * edge.weight.clamp(0.0, 1.0),
            escape(&edge.title)
        ));
        if !is_fast.is_empty() {
            svg.put(format_args!(r#"{is_fast}{curve}"/>"#));
        }
        svg.put(format_args!("</g>"));
    }
    for (edge, (_, (x, y))) in graph.edges.iter().zip(&layout.edges) {
        // Above and below the line, so that it is seen in full.
        svg.put(format_args!(
            r#"<g class="label"><title>{}</title><text x="{x:.1}" y="{:.1}">{}</text>"#,
            escape(&edge.title),
            y - 6.0,
            escape(&shortened(&edge.label, LABEL_MAX))
        ));
        svg.put(format_args!(
            r#"<text class="rate" x="{x:.1}" y="{:.1}">{}</text></g>"#,
            y + 14.0,
            escape(&edge.rate)
        ));
    }
    for (node, (x, y)) in graph.nodes.iter().zip(&layout.nodes) {
        put_node(&mut svg, node, (*x, *y));
    }
    svg.put(format_args!("</svg>"));
    svg
}

fn put_node(svg: &mut Html, node: &Node, (x, y): Point) {
    let (width, height) = (width(node), NODE_HEIGHT);
    let (left, top) = (x - width / 2.0, y - height / 2.0);
    let kind = match node.kind {
        ComponentKind::Spout => "spout",
        ComponentKind::Bolt => "bolt",
    };
    let marks = [(node.is_bottleneck, " bottleneck"), (node.is_here, " here"), (node.errors > 0, " wrong")];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    svg.put(format_args!(
        r#"<a href="{}" class="node {kind}{marks}" style="--heat:{}"><title>{}</title>"#,
        escape(&node.href),
        heat(node.load.unwrap_or(0.0)),
        escape(&node.title)
    ));
    svg.put(format_args!(
        r#"<rect class="box" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height}" rx="{}"/>"#,
        if node.kind == ComponentKind::Spout { height / 2.0 } else { 9.0 }
    ));
    let text_left = left + if node.kind == ComponentKind::Spout { 44.0 } else { 14.0 };
    if node.kind == ComponentKind::Spout {
        let (cx, cy) = (left + 24.0, y);
        svg.put(format_args!(r#"<circle class="tap" cx="{cx:.1}" cy="{cy:.1}" r="11"/>"#));
        svg.put(format_args!(r#"<path class="drop" d="M{:.1} {:.1}l7 5l-7 5z"/>"#, cx - 2.5, cy - 5.0));
    }
    svg.put(format_args!(
        r#"<text class="name" x="{text_left:.1}" y="{:.1}">{}</text>"#,
        y - if node.load.is_some() { 11.0 } else { 4.0 },
        escape(&shortened(&node.name, NAME_MAX))
    ));
    svg.put(format_args!(
        r#"<text class="about" x="{text_left:.1}" y="{:.1}">{}</text>"#,
        y + if node.load.is_some() { 6.0 } else { 13.0 },
        escape(&node.about)
    ));
    if let Some(load) = node.load {
        let whole = width - 28.0 - 34.0;
        let bar = y + 17.0;
        svg.put(format_args!(
            r#"<rect class="track" x="{text_left:.1}" y="{bar:.1}" width="{whole:.1}" height="5" rx="2.5"/>"#
        ));
        svg.put(format_args!(
            r#"<rect class="fill" x="{text_left:.1}" y="{bar:.1}" width="{:.1}" height="5" rx="2.5"/>"#,
            (whole * load.clamp(0.0, 1.0)).max(1.0)
        ));
        svg.put(format_args!(
            r#"<text class="load" x="{:.1}" y="{:.1}">{load:.2}</text>"#,
            left + width - 14.0,
            bar + 6.0
        ));
    }
    if node.errors > 0 {
        let (cx, cy) = (left + width - 8.0, top + 4.0);
        svg.put(format_args!(
            r#"<circle class="error" cx="{cx:.1}" cy="{cy:.1}" r="9"/><text class="error" x="{cx:.1}" y="{:.1}">{}</text>"#,
            cy + 3.5,
            if node.errors > 99 { "99+".to_owned() } else { node.errors.to_string() }
        ));
    }
    svg.put(format_args!("</a>"));
}

fn width(node: &Node) -> f64 {
    let letters = node.name.chars().count().min(NAME_MAX) as f64;
    let base: f64 = if node.kind == ComponentKind::Spout { 62.0 } else { 32.0 };
    (base + letters * NAME_LETTER).max(164.0)
}

fn label_size(edge: &Edge) -> Point {
    (shortened(&edge.label, LABEL_MAX).chars().count().max(9) as f64 * LETTER + 8.0, 34.0)
}

/// A line with rounded bends.
fn curve(points: &[Point]) -> String {
    use std::fmt::Write as _;
    let mut path = String::new();
    let mut put =
        |part: std::fmt::Arguments<'_>| path.write_fmt(part).expect("a String takes whatever it is given");
    match points {
        [] => {}
        [(x, y)] => put(format_args!("M{x:.1} {y:.1}")),
        [first, middle @ .., last] => {
            put(format_args!("M{:.1} {:.1}", first.0, first.1));
            for (i, bend) in middle.iter().enumerate() {
                let next = middle.get(i + 1).unwrap_or(last);
                let half = ((bend.0 + next.0) / 2.0, (bend.1 + next.1) / 2.0);
                put(format_args!("Q{:.1} {:.1} {:.1} {:.1}", bend.0, bend.1, half.0, half.1));
            }
            put(format_args!("L{:.1} {:.1}", last.0, last.1));
        }
    }
    path
}

/// The layouts of the graphs that were drawn. They depend on the specification of a topology alone, and
/// its pages are drawn every two seconds.
static KEPT: LazyLock<Layouts> = LazyLock::new(Layouts::default);

/// Layouts by what they were made of: sizes of nodes, then ends and sizes of edges.
#[derive(Default)]
struct Layouts(Mutex<HashMap<Vec<u64>, Arc<Layout>>>);

impl Layouts {
    fn get(&self, nodes: &[Point], edges: &[(usize, usize, Point)]) -> Arc<Layout> {
        if nodes.len() > NODES_MAX {
            return Arc::new(in_rows(nodes, edges));
        }
        let size = |(width, height): &Point| [width.to_bits(), height.to_bits()];
        let mut key = vec![nodes.len() as u64];
        key.extend(nodes.iter().flat_map(size));
        for (from, to, label) in edges {
            key.extend([*from as u64, *to as u64]);
            key.extend(size(label));
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        known.unwrap_or_else(|| {
            let made = Arc::new(layout(nodes, edges));
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= LAYOUTS {
                kept.clear();
            }
            kept.insert(key, Arc::clone(&made));
            made
        })
    }
}

/// Where nodes and edges of these sizes stand. The one place that knows the library which does it.
fn layout(nodes: &[Point], edges: &[(usize, usize, Point)]) -> Layout {
    // The library is young and graphs come from users: one that it fails at is drawn plainly.
    catch_unwind(AssertUnwindSafe(|| by_dagre(nodes, edges)))
        .ok()
        .flatten()
        .unwrap_or_else(|| in_rows(nodes, edges))
}

fn by_dagre(nodes: &[Point], edges: &[(usize, usize, Point)]) -> Option<Layout> {
    use dagre::graph::{Graph, GraphOptions};
    use dagre::{EdgeLabel, LayoutOptions, NodeLabel, RankDir};

    let mut graph = Graph::with_options(GraphOptions { directed: true, multigraph: true, compound: true });
    for (i, (width, height)) in nodes.iter().enumerate() {
        let label = NodeLabel { width: *width, height: *height, ..NodeLabel::default() };
        graph.set_node(i.to_string(), Some(label));
    }
    for (i, (from, to, (width, height))) in edges.iter().enumerate() {
        let labelpos = NodeLabel::default().labelpos; // In the middle of the line; its type is not exported.
        let label = EdgeLabel { width: *width, height: *height, labelpos, ..EdgeLabel::default() };
        graph.set_edge(from.to_string(), to.to_string(), Some(label), Some(&i.to_string()));
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: 26.0,
        edgesep: 18.0,
        ranksep: 30.0,
        marginx: 14.0,
        marginy: 14.0,
        ..LayoutOptions::default()
    };
    dagre::layout(&mut graph, Some(options));
    let mut layout = Layout::default();
    for (i, (width, height)) in nodes.iter().enumerate() {
        let node = graph.node(&i.to_string())?;
        let (x, y) = (node.x?, node.y?);
        layout.width = layout.width.max(x + width / 2.0 + 14.0);
        layout.height = layout.height.max(y + height / 2.0 + 14.0);
        layout.nodes.push((x, y));
    }
    for (i, (from, to, (width, height))) in edges.iter().enumerate() {
        let edge = graph.edge(&from.to_string(), &to.to_string(), Some(&i.to_string()))?;
        let points: Vec<Point> = edge.points.iter().map(|point| (point.x, point.y)).collect();
        let (x, y) = (edge.x?, edge.y?);
        for (x, y) in points.iter().copied().chain([(x + width / 2.0, y + height / 2.0)]) {
            layout.width = layout.width.max(x + 14.0);
            layout.height = layout.height.max(y + 14.0);
        }
        layout.edges.push((points, (x, y)));
    }
    let is_finite = |(x, y): &Point| x.is_finite() && y.is_finite();
    let is_sound = layout.nodes.iter().all(is_finite)
        && layout.edges.iter().flat_map(|(points, _)| points).all(is_finite);
    is_sound.then_some(layout)
}

/// Rows of four, with straight edges.
fn in_rows(nodes: &[Point], edges: &[(usize, usize, Point)]) -> Layout {
    const ACROSS: usize = 4;
    let widest = nodes.iter().map(|(width, _)| *width).fold(0.0, f64::max);
    let (step_x, step_y) = (widest + 120.0, NODE_HEIGHT + 60.0);
    let place = |i: usize| {
        ((i % ACROSS) as f64 * step_x + widest / 2.0 + 20.0, (i / ACROSS) as f64 * step_y + NODE_HEIGHT)
    };
    let nodes: Vec<Point> = (0..nodes.len()).map(place).collect();
    let edges = edges.iter().map(|(from, to, _)| {
        let (a, b) = (place(*from), place(*to));
        let a = (a.0 + widest / 2.0, a.1);
        let b = (b.0 - widest / 2.0, b.1);
        (vec![a, b], ((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0))
    });
    Layout {
        width: step_x * nodes.len().min(ACROSS) as f64 + 20.0,
        height: step_y * nodes.len().div_ceil(ACROSS) as f64 + 20.0,
        edges: edges.collect(),
        nodes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, kind: ComponentKind) -> Node {
        Node {
            name: name.to_owned(),
            href: format!("component/{name}"),
            kind,
            about: "4 executors".to_owned(),
            title: String::new(),
            load: (kind == ComponentKind::Bolt).then_some(0.4),
            errors: 0,
            is_bottleneck: false,
            is_here: false,
        }
    }

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let kind = |i| if i == 0 { ComponentKind::Spout } else { ComponentKind::Bolt };
        let edge = |(from, to): &(usize, usize)| Edge {
            from: *from,
            to: *to,
            label: "shuffle".to_owned(),
            rate: "1 k/s".to_owned(),
            weight: 0.5,
            title: String::new(),
        };
        Graph {
            nodes: (0..nodes).map(|i| node(&format!("node-{i}"), kind(i))).collect(),
            edges: edges.iter().map(edge).collect(),
        }
    }

    fn check(graph: &Graph) {
        let drawn = draw(graph);
        assert_eq!(drawn.as_str().matches("<a href=").count(), graph.nodes.len());
        assert_eq!(drawn.as_str().matches(r#"class="way""#).count(), graph.edges.len());
        assert!(!drawn.as_str().contains("NaN") && !drawn.as_str().contains("inf"), "{drawn}");
        let sizes: Vec<Point> = graph.nodes.iter().map(|node| (width(node), NODE_HEIGHT)).collect();
        let edges: Vec<_> = graph.edges.iter().map(|edge| (edge.from, edge.to, label_size(edge))).collect();
        let layout = by_dagre(&sizes, &edges).expect("the library lays it out");
        for (i, (x, y)) in layout.nodes.iter().enumerate() {
            assert!(x - sizes[i].0 / 2.0 >= 0.0 && y - sizes[i].1 / 2.0 >= 0.0, "node {i} is cut off");
            for (j, (other_x, other_y)) in layout.nodes.iter().enumerate().skip(i + 1) {
                let apart_x = (x - other_x).abs() >= (sizes[i].0 + sizes[j].0) / 2.0;
                let apart_y = (y - other_y).abs() >= NODE_HEIGHT;
                assert!(apart_x || apart_y, "nodes {i} and {j} overlap");
            }
        }
    }

    #[test]
    fn a_single_node_is_drawn() {
        check(&graph(1, &[]));
        assert!(draw(&Graph::default()).is_empty());
    }

    #[test]
    fn cycles_loops_and_parallel_edges_are_drawn() {
        check(&graph(3, &[(0, 1), (1, 2), (2, 1)]));
        check(&graph(2, &[(0, 1), (0, 1), (0, 1), (1, 1), (1, 1)]));
        check(&graph(2, &[]));
    }

    #[test]
    fn a_large_graph_is_drawn() {
        let edges: Vec<_> = (1..60).map(|i| (i / 3, i)).chain((20..40).map(|i| (i, i + 20))).collect();
        check(&graph(60, &edges));
    }

    #[test]
    fn what_the_library_fails_at_is_drawn_plainly() {
        let layout = in_rows(&[(188.0, 64.0); 6], &[(0, 5, (60.0, 27.0))]);
        assert_eq!((layout.nodes.len(), layout.edges.len()), (6, 1));
        assert!(layout.nodes.iter().all(|(x, y)| *x < layout.width && *y < layout.height));
    }

    #[test]
    fn a_graph_is_laid_out_once_and_not_all_are_kept() {
        let layouts = Layouts::default();
        let edges = [(0, 1, (60.0, 27.0))];
        let first = layouts.get(&[(188.0, 64.0); 2], &edges);
        assert!(Arc::ptr_eq(&first, &layouts.get(&[(188.0, 64.0); 2], &edges)));
        for other in [layouts.get(&[(188.0, 64.0); 3], &edges), layouts.get(&[(188.0, 64.0); 2], &[])] {
            assert!(!Arc::ptr_eq(&first, &other));
        }
        for width in 0..LAYOUTS {
            layouts.get(&[(200.0 + width as f64, 64.0)], &[]);
        }
        assert!(layouts.0.lock().unwrap().len() <= LAYOUTS);
        assert!(!Arc::ptr_eq(&first, &layouts.get(&[(188.0, 64.0); 2], &edges)));
    }

    #[test]
    fn a_graph_that_is_too_long_for_the_stack_is_drawn_plainly() {
        let chain: Vec<_> = (1..5_000).map(|i| (i - 1, i)).collect();
        let drawn = draw(&graph(5_000, &chain));
        assert_eq!(drawn.as_str().matches("<a href=").count(), 5_000);
    }

    #[test]
    fn names_are_escaped() {
        let mut graph = graph(2, &[(0, 1)]);
        graph.nodes[1].name = "<script>".to_owned();
        graph.edges[0].label = "<b>".to_owned();
        graph.nodes[0].href = "\"><script>".to_owned();
        let drawn = draw(&graph);
        assert!(!drawn.as_str().contains("<script") && !drawn.as_str().contains("<b>"), "{drawn}");
    }
}
