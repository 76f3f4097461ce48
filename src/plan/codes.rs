//! What a plan is made of, as programs read it.

use super::action::{Action, Adoption, CredentialState, Reason};
use super::withheld::Why;
use crate::codes::{ActionCode, CredentialCode, ReasonCode, WithheldCode};

impl Action {
    /// As programs read it.
    pub fn code(&self) -> ActionCode {
        match self {
            Self::Create { .. } => ActionCode::Create,
            Self::Replace { .. } => ActionCode::Replace,
            Self::Adopt { how: Adoption::TakeOver, .. } => ActionCode::Adopt,
            Self::Adopt { how: Adoption::Shadow, .. } => ActionCode::Shadow,
            Self::Claim { .. } => ActionCode::Claim,
            Self::Delete { .. } => ActionCode::Delete,
            Self::SetUp { account: None, .. } => ActionCode::SetUp,
            Self::SetUp { account: Some(_), .. } => ActionCode::LinkAgain,
            Self::Reload { .. } => ActionCode::Reload,
            Self::SetDeletePolicy { removes: true, .. } => ActionCode::SetDeletePolicy,
            Self::SetDeletePolicy { removes: false, .. } => ActionCode::ClearDeletePolicy,
            Self::NoteAccount { .. } => ActionCode::NoteAccount,
            Self::RemoveAccount { .. } => ActionCode::RemoveAccount,
            Self::Abandon { .. } => ActionCode::Abandon,
        }
    }
}

impl Reason {
    /// As programs read it.
    pub fn code(self) -> ReasonCode {
        match self {
            Self::DeletedThere => ReasonCode::DeletedThere,
            Self::NotObserved | Self::BesideOtherOwner | Self::BesidePreviousOwner => {
                ReasonCode::NotObserved
            }
            Self::NothingToAdopt => ReasonCode::NothingToAdopt,
            Self::SecretDiffers => ReasonCode::SecretDiffers,
            Self::SecretReencrypted => ReasonCode::SecretReencrypted,
            Self::ClientIdDiffers => ReasonCode::ClientIdDiffers,
            Self::NameDiffers => ReasonCode::NameDiffers,
            Self::NotDesired => ReasonCode::NotDesired,
            Self::NotForTarget => ReasonCode::NotForTarget,
            Self::IntegrationDiffers => ReasonCode::IntegrationDiffers,
            Self::Superseded => ReasonCode::Superseded,
            Self::TakenBack => ReasonCode::TakenBack,
            Self::AdoptionAsked => ReasonCode::AdoptionAsked,
            Self::LetGo => ReasonCode::LetGo,
            Self::Unclaimed => ReasonCode::Unclaimed,
            Self::Renamed | Self::OwnerRenamed | Self::TakenForRenamed => ReasonCode::Renamed,
            Self::OldShadow => ReasonCode::OldShadow,
            Self::ReferencedById => ReasonCode::ReferencedById,
            Self::NotSetUp | Self::AccountNotLinked => ReasonCode::NotSetUp,
            Self::PerhapsLinked => ReasonCode::PerhapsLinked,
            Self::ConsentLost => ReasonCode::ConsentLost,
            Self::AccountDown => ReasonCode::AccountDown,
            Self::OnDeleteDiffers => ReasonCode::OnDeleteDiffers,
            Self::AccountNotNoted => ReasonCode::AccountNotNoted,
            Self::AccountUndeclared => ReasonCode::AccountUndeclared,
            Self::UnnamedAccountDown => ReasonCode::UnnamedAccountDown,
            Self::LeftOver => ReasonCode::LeftOver,
        }
    }
}

impl Why {
    /// As programs read it.
    pub fn code(&self) -> WithheldCode {
        match self {
            Self::InUse { .. } => WithheldCode::InUse,
            Self::MayBeCloud { .. } => WithheldCode::MayBeCloud,
            Self::UnreadAccounts { .. } => WithheldCode::UnreadAccounts,
            Self::Foreign { .. } => WithheldCode::Foreign,
            Self::SeveralByHand { .. } => WithheldCode::SeveralByHand,
            Self::SeveralRenamed { .. } => WithheldCode::SeveralRenamed,
            Self::ReusedName { .. } => WithheldCode::ReusedName,
            Self::ReusedKey { .. } => WithheldCode::ReusedKey,
            Self::UnreadableMark { .. } => WithheldCode::UnreadableMark,
            Self::Disputed { .. } => WithheldCode::Disputed,
            Self::OtherEntry { .. } => WithheldCode::OtherEntry,
            Self::OtherOwner { .. } => WithheldCode::OtherOwner,
            Self::OwnerDiffers { .. } => WithheldCode::OwnerDiffers,
            Self::PreviousOwner { .. } => WithheldCode::PreviousOwner,
            Self::SeveralEntries { .. } => WithheldCode::SeveralEntries,
            Self::NotOwned => WithheldCode::NotOwned,
            Self::Protected { .. } => WithheldCode::Protected,
            Self::Suspended => WithheldCode::Suspended,
            Self::OutsideWindows { .. } => WithheldCode::OutsideWindows,
            Self::EarlierWave { .. } => WithheldCode::EarlierWave,
            Self::PruneOff => WithheldCode::PruneOff,
            Self::TooManyDeletes { .. } => WithheldCode::TooManyDeletes,
            Self::NothingDesired => WithheldCode::NothingDesired,
            Self::LostBySlip { .. } => WithheldCode::LostBySlip,
            Self::Unread => WithheldCode::Unread,
            Self::Unidentified { .. } => WithheldCode::Unidentified,
            Self::Emptied { .. } => WithheldCode::Emptied,
            Self::NeedsCloud => WithheldCode::NeedsCloud,
            Self::IgnoresClient => WithheldCode::IgnoresClient,
            Self::SeveralAccounts { .. } => WithheldCode::SeveralAccounts,
            Self::OneAccount => WithheldCode::OneAccount,
            Self::UnknownIntegration { .. } => WithheldCode::UnknownIntegration,
            Self::NotSelected { .. } => WithheldCode::NotSelected,
        }
    }
}

impl CredentialState {
    /// As programs read it.
    pub fn code(&self) -> CredentialCode {
        match self {
            Self::InSync(_) => CredentialCode::InSync,
            Self::Differs(_) => CredentialCode::Differs,
            Self::Unknown(_) => CredentialCode::Unknown,
            Self::Shadowed(_) => CredentialCode::Shadowed,
            Self::Claim(_) => CredentialCode::Claim,
            Self::Superseded(_) => CredentialCode::Superseded,
            Self::Undeclared => CredentialCode::Undeclared,
            Self::Forgotten => CredentialCode::Forgotten,
            Self::OtherOwner(_) => CredentialCode::OtherOwner,
            Self::Foreign => CredentialCode::Foreign,
        }
    }
}
