//! The figures as SVG.

use std::path::Path;

use anyhow::{Context, anyhow};
use plotters::prelude::*;

use crate::options::Scenario;
use crate::plan::Plan;
use crate::results::{Results, shown};
use crate::scenarios::{STEADY, median_column};

const SIZE: (u32, u32) = (640, 320);
const LONG_SIZE: (u32, u32) = (640, 400);
const FONT: &str = "sans-serif";
const COLOURS: [RGBColor; 5] = [
    RGBColor(31, 119, 180),
    RGBColor(127, 127, 127),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
];

/// A figure of several rows beside each other.
struct Bars {
    file: &'static str,
    title: &'static str,
    scenario: Scenario,
    column: &'static str,
    rows: &'static [&'static str],
}

const SYSTEMS: &[&str] = &["service", "floor", "tutorial", "node"];

const BARS: [Bars; 8] = [
    Bars {
        file: "connect",
        title: "Streams opened per second",
        scenario: Scenario::Connect,
        column: "streams/s",
        rows: SYSTEMS,
    },
    Bars {
        file: "memory",
        title: "Memory per idle stream, kB, everything included",
        scenario: Scenario::Memory,
        column: "kB all/stream",
        rows: SYSTEMS,
    },
    Bars {
        file: "cpu",
        title: "Server's processor time per delivered event, µs",
        scenario: Scenario::Events,
        column: "server µs/event",
        rows: SYSTEMS,
    },
    Bars {
        file: "latency",
        title: "Commit acknowledged to received at 1,000/s, p99, ms",
        scenario: Scenario::Events,
        column: "p99 ms",
        rows: SYSTEMS,
    },
    Bars {
        file: "latency-fast",
        title: "Commit acknowledged to received at 4,000/s, p99, ms",
        scenario: Scenario::FastEvents,
        column: "p99 ms",
        rows: SYSTEMS,
    },
    Bars {
        file: "fan-out",
        title: "One update to all streams: the last receiver, ms",
        scenario: Scenario::FanOut,
        column: "last ms",
        rows: SYSTEMS,
    },
    Bars {
        file: "writers",
        title: "Commits per second of 16 writers",
        scenario: Scenario::Writers,
        column: "commits/s",
        rows: &["bare, spread", "service, spread", "plain trigger, spread", "bare, one rep", "service, one rep"],
    },
    Bars {
        file: "bulk",
        title: "One UPDATE of 10,000 orders, ms",
        scenario: Scenario::Bulk,
        column: "ms",
        rows: &["bare", "service", "plain trigger"],
    },
];

/// Draws what was measured into a folder.
///
/// # Errors
/// If the folder can't be written to.
pub fn draw(results: &Results, plan: &Plan, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    for bars in &BARS {
        let figure = |row: &&'static str| Some((*row, results.figure(bars.scenario, row, bars.column)?));
        let figures: Vec<(&str, f64)> = bars.rows.iter().filter_map(figure).collect();
        if !figures.is_empty() {
            let file = folder.join(bars.file).with_extension("svg");
            draw_bars(&file, bars.title, &figures)
                .map_err(|error| anyhow!("could not draw {}: {error}", file.display()))?;
        }
    }
    let lines: Vec<(&str, Vec<(f64, f64)>)> = STEADY
        .iter()
        .chain(&["plain aggregate in SQL"])
        .map(|row| {
            let point =
                |orders: &u64| Some((*orders as f64, results.figure(Scenario::Growth, row, &median_column(*orders))?));
            (*row, plan.growth.iter().filter_map(point).collect())
        })
        .collect();
    if lines.iter().any(|(_, points)| !points.is_empty()) {
        let file = folder.join("growth.svg");
        draw_growth(&file, &lines).map_err(|error| anyhow!("could not draw {}: {error}", file.display()))?;
    }
    Ok(())
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

fn draw_bars(file: &Path, title: &str, figures: &[(&str, f64)]) -> Drawn {
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let top = figures.iter().map(|(_, value)| *value).fold(0.0, f64::max) * 1.15;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(60)
        .build_cartesian_2d(0.0..figures.len() as f64, 0.0..top.max(f64::MIN_POSITIVE))?;
    chart.configure_mesh().disable_x_mesh().disable_x_axis().y_label_formatter(&|value| shown(*value)).draw()?;
    for (place, (name, value)) in figures.iter().enumerate() {
        let (left, colour) = (place as f64, COLOURS[place % COLOURS.len()]);
        chart.draw_series([Rectangle::new([(left + 0.2, 0.0), (left + 0.8, *value)], colour.filled())])?;
        let centred = |size: u32| {
            TextStyle::from((FONT, size).into_font()).pos(text_anchor(plotters::style::text_anchor::VPos::Bottom))
        };
        chart.draw_series([Text::new(shown(*value), (left + 0.5, *value), centred(14))])?;
        let below = TextStyle::from((FONT, 13).into_font()).pos(text_anchor(plotters::style::text_anchor::VPos::Top));
        chart.draw_series([Text::new((*name).to_owned(), (left + 0.5, 0.0), below)])?;
    }
    Ok(root.present()?)
}

fn text_anchor(vertical: plotters::style::text_anchor::VPos) -> plotters::style::text_anchor::Pos {
    plotters::style::text_anchor::Pos::new(plotters::style::text_anchor::HPos::Center, vertical)
}

fn draw_growth(file: &Path, lines: &[(&str, Vec<(f64, f64)>)]) -> Drawn {
    let root = SVGBackend::new(file, LONG_SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|(_, points)| points);
    let (least, most) = points().fold((f64::MAX, 0.0_f64), |(least, most), (x, _)| (least.min(*x), most.max(*x)));
    let (low, high) = points().fold((f64::MAX, 0.0_f64), |(low, high), (_, y)| (low.min(*y), high.max(*y)));
    let mut chart = ChartBuilder::on(&root)
        .caption("By the orders of the rep, p50, ms", (FONT, 18))
        .margin(12)
        .x_label_area_size(32)
        .y_label_area_size(60)
        .build_cartesian_2d((least..most * 1.2).log_scale(), (low * 0.8..high * 1.2).log_scale())?;
    chart.configure_mesh().x_label_formatter(&|x| shown(*x)).y_label_formatter(&|y| shown(*y)).draw()?;
    for (place, (name, points)) in lines.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
        line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).background_style(WHITE.mix(0.8)).draw()?;
    Ok(root.present()?)
}
