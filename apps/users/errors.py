"""What can be wrong with people, in words and stable codes."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from apps.core.errors import Conflict, EMLError, Forbidden, Invalid


class AboveYourRole(Forbidden):
    code = "above_your_role"
    detail = _("Nobody may grant a role above his own, or change somebody who has one.")


class OwnRole(Forbidden):
    code = "own_role"
    detail = _("You cannot change your own role or switch yourself off.")


class NotYourTeam(Forbidden):
    code = "not_your_team"
    detail = _("You may only manage people and teams you belong to.")


class LastAdmin(Conflict):
    code = "last_admin"
    detail = _("This is the last administrator. Make somebody else administrator first.")


class EmailTaken(Conflict):
    code = "email_taken"
    detail = _("There is a user with this e-mail address already.")


class NotSignedIn(EMLError):
    status = 401
    code = "not_authenticated"
    detail = _("Please sign in.")


class WrongCredentials(NotSignedIn):
    code = "wrong_credentials"
    detail = _("The e-mail address or the password is wrong.")


class SecondFactorNeeded(NotSignedIn):
    code = "code_required"
    detail = _("Send the code of your authenticator app as well.")


class SecondFactorWrong(NotSignedIn):
    code = "code_wrong"
    detail = _("This code is wrong or was used already.")


class SecondFactorMissing(Forbidden):
    code = "second_factor_missing"
    detail = _("Your role needs two-factor authentication. Sign in with a browser and set it up.")


class TokenInvalid(NotSignedIn):
    code = "token_invalid"
    detail = _("This token is not valid or has expired. Please sign in again.")


class TokenReused(NotSignedIn):
    code = "token_reused"
    detail = _("This token was used before, so somebody may have copied it. You were signed out everywhere.")


class StaleVersion(EMLError):
    status = 412
    code = "stale_version"
    detail = _("Somebody changed this record meanwhile. Load it again, then repeat your change.")


class ExternalIdTaken(Conflict):
    code = "external_id_taken"
    detail = _("Another customer has this external id.")


class ContactTaken(Conflict):
    code = "contact_taken"
    detail = _("This address is verified for another customer. Merge the two records instead.")


class MergedAlready(Conflict):
    code = "merged_already"
    detail = _("This record was merged into another one already.")


class MergeWithItself(Invalid):
    code = "merge_with_itself"
    detail = _("A record cannot be merged into itself.")


class EmailInvalid(Invalid):
    code = "email_invalid"
    detail = _("This is not an e-mail address.")


class PhoneInvalid(Invalid):
    code = "phone_invalid"
    detail = _("This is not an international phone number like +49 30 12345678 (no letters, no extension).")


class PhoneNotDialled(Invalid):
    code = "phone_not_dialled"
    detail = _("Emergency, short and premium-rate numbers are never dialled.")
