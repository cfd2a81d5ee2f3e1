//! Lists the public items of a library, a line each, from what rustdoc says of it in JSON.

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let json = std::env::args_os().nth(1);
    let json = json.context("usage: list-public-api RUSTDOC_JSON")?;
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .context("rustdoc and the package `public-api` have to be of the same time")?;
    print!("{api}");
    Ok(())
}
