//! The embedded replica in place of a PocketIC server.

use clap::Parser;
use decant_cli::serve::{InPlaceOfPocketIc, in_place_of_pocket_ic};
use std::process::ExitCode;

fn main() -> ExitCode {
    match in_place_of_pocket_ic(&InPlaceOfPocketIc::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
