//! The ratios as a picture.

use crate::report::Report;
use crate::who::{LANGUAGES, Who};

const LINE: f64 = 18.0;
const NAMES: f64 = 270.0;
const SCALE: f64 = 130.0;

/// Where a multiple is, on a logarithmic scale.
fn x(ratio: f64) -> f64 {
    NAMES + SCALE * ratio.max(0.5).log2() / 2.0 + SCALE / 2.0
}

/// A bar for each multiple of the native time that has a goal, language by language.
pub fn svg(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 40.0;
    for language in &LANGUAGES {
        let bars: Vec<_> = (report.rows.iter())
            .filter(|row| (row.goals.iter()).any(|goal| language.guests.contains(&goal.who)))
            .flat_map(|row| {
                let ratio = move |who: &Who| Some((row, *who, row.ratio(*who, language.native)?));
                language.guests.iter().filter_map(ratio)
            })
            .collect();
        if bars.is_empty() {
            continue;
        }
        y += 12.0;
        body += &format!(
            "<text x=\"8\" y=\"{}\" font-weight=\"bold\">{}, beside {}</text>\n",
            y + 12.0,
            language.name,
            language.native.word()
        );
        y += LINE;
        let mut last = "";
        for (row, who, ratio) in bars {
            if row.name != last {
                y += 6.0;
                body += &format!(
                    "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\n",
                    NAMES - 8.0,
                    y + 12.0,
                    row.name
                );
                last = &row.name;
            }
            let color = if who.maps() { "#48a878" } else { "#4878a8" };
            let (from, to) = (x(1.0).min(x(ratio)), x(1.0).max(x(ratio)));
            body += &format!(
                "<rect x=\"{from:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"{color}\"/>\n\
                 <text x=\"{:.1}\" y=\"{}\">{ratio:.2} {}</text>\n",
                (to - from).max(1.0),
                to + 4.0,
                y + 12.0,
                who.word(),
            );
            y += LINE;
        }
    }
    let axis: String = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
        .map(|ratio| {
            format!(
                "<line x1=\"{0:.1}\" y1=\"34\" x2=\"{0:.1}\" y2=\"{y}\" stroke=\"#ddd\"/>\n\
                 <text x=\"{0:.1}\" y=\"28\" text-anchor=\"middle\">{ratio}</text>\n",
                x(ratio)
            )
        })
        .concat();
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"860\" height=\"{:.0}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"8\" y=\"14\">Times as long as a native program (1 is the same)</text>\n\
         {axis}{body}</svg>\n",
        y + 20.0
    )
}
