//! The reports of several URLs as one HTML file: each is a page of its own, behind a tab that tells its answer.

use anyhow::{Context as _, Result};
use askama::Template;

use crate::{
    model::report::Report,
    render::{
        report::{html::html, words},
        term::escape,
    },
};

/// The file.
#[derive(Template)]
#[template(path = "routes.html")]
struct Routes {
    title: String,
    routes: Vec<Route>,
}

/// One URL's page.
struct Route {
    url: String,
    headline: String,
    page: String,
}

/// Draws the reports of an audit; one alone needs no tab.
pub fn pages(reports: &[Report]) -> Result<String> {
    if let [report] = reports {
        return html(report);
    }
    let route = |report: &Report| {
        Ok(Route {
            url: escape::visible(&report.url).into_owned(),
            headline: words::headline(report),
            page: html(report)?,
        })
    };
    let title = reports.first().map(|report| escape::visible(&report.subject).into_owned());
    let routes = reports.iter().map(route).collect::<Result<_>>()?;
    Routes { title: title.unwrap_or_default(), routes }.render().context("failed to render the reports")
}
