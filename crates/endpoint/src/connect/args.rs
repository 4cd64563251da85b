//! [`FamilyArgs`]: `-4`, `-6` and `--family`, ready to be flattened into a program's arguments.

use super::FamilyChoice;

/// The choice of family on a command line. No two of these go together; clap says so to the user.
///
/// ```
/// use clap::Parser;
/// use sixgate_endpoint::connect::{FamilyArgs, FamilyChoice};
///
/// #[derive(Parser)]
/// struct Args {
///     #[command(flatten)]
///     family: FamilyArgs,
/// }
/// assert_eq!(Args::parse_from(["fetch", "-4"]).family.choice(), Some(FamilyChoice::Ipv4));
/// assert_eq!(Args::parse_from(["fetch"]).family.choice(), None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::Args)]
#[group(skip)]
pub struct FamilyArgs {
    /// Use IPv4 alone
    #[arg(short = '4', long = "ipv4", conflicts_with_all = ["ipv6", "family"])]
    ipv4: bool,
    /// Use IPv6 alone
    #[arg(short = '6', long = "ipv6", conflicts_with = "family")]
    ipv6: bool,
    /// Which families to use, and which first
    #[arg(long, value_enum, value_name = "CHOICE")]
    family: Option<FamilyChoice>,
}

impl FamilyArgs {
    /// What the user said; `None` where that was nothing, and the configuration decides.
    pub fn choice(self) -> Option<FamilyChoice> {
        match self {
            Self { ipv4: true, .. } => Some(FamilyChoice::Ipv4),
            Self { ipv6: true, .. } => Some(FamilyChoice::Ipv6),
            Self { family, .. } => family,
        }
    }
}
