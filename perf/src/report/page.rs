//! A page that needs nothing beside itself.

use std::fmt::Write as _;

const STYLE: &str = "
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2430; background: #fff; max-width: 1180px; margin: 32px auto; padding: 0 20px; }
h1 { font-size: 25px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 34px 0 8px; }
p { max-width: 760px; margin: 6px 0; } .meta { color: #5b6675; font-size: 13px; }
.plots { display: flex; flex-wrap: wrap; gap: 20px; } .plots svg { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: 12.5px; font-variant-numeric: tabular-nums; margin: 8px 0; }
th { text-align: right; font-weight: 600; color: #414b59; border-bottom: 2px solid #cfd6df; padding: 4px 7px; vertical-align: bottom; }
td { text-align: right; border-bottom: 1px solid #e6eaef; padding: 3px 7px; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr.invalid td { color: #9aa3af; } .bad { background: #fdecea; border-left: 4px solid #c0392b; padding: 8px 12px; margin: 10px 0; }
code { background: #f2f4f7; padding: 1px 5px; border-radius: 3px; font-size: 13px; }
";

#[derive(Debug, Default)]
pub struct Page {
    title: String,
    body: String,
}

/// Text for HTML.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

impl Page {
    #[must_use]
    pub fn new(title: &str, meta: &str, command: &str) -> Page {
        let mut page = Page { title: title.to_owned(), body: String::new() };
        let (title, meta, command) = (escape(title), escape(meta), escape(command));
        let _ = write!(
            page.body,
            "<h1>{title}</h1>\n<p class=\"meta\">{meta}</p>\n<p class=\"meta\"><code>{command}</code></p>\n"
        );
        page
    }

    pub fn heading(&mut self, text: &str) {
        let _ = writeln!(self.body, "<h2>{}</h2>", escape(text));
    }

    pub fn text(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p>{}</p>", escape(text));
    }

    pub fn warning(&mut self, text: &str) {
        let _ = writeln!(self.body, "<p class=\"bad\">{}</p>", escape(text));
    }

    pub fn plots(&mut self, svgs: &[String]) {
        let _ = writeln!(self.body, "<div class=\"plots\">{}</div>", svgs.concat());
    }

    pub fn link(&mut self, to: &str, text: &str) {
        let _ = writeln!(self.body, "<p><a href=\"{}\">{}</a></p>", escape(to), escape(text));
    }

    /// A table; a row that is not valid is grey.
    pub fn table(&mut self, head: &[&str], rows: &[(bool, Vec<String>)]) {
        self.body.push_str("<div class=\"scroll\"><table><tr>");
        for cell in head {
            let _ = write!(self.body, "<th>{}</th>", escape(cell));
        }
        for (valid, row) in rows {
            self.body.push_str(if *valid { "</tr>\n<tr>" } else { "</tr>\n<tr class=\"invalid\">" });
            for cell in row {
                let _ = write!(self.body, "<td>{}</td>", escape(cell));
            }
        }
        self.body.push_str("</tr></table></div>\n");
    }

    #[must_use]
    pub fn html(&self) -> String {
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\n<style>{STYLE}</style></head>\n<body>\n{}</body></html>\n",
            escape(&self.title),
            self.body
        )
    }
}
