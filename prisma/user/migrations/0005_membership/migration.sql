-- Membership: one ORG_ADMIN who can sign in always remains.

-- Who administrates an organisation; asked for before each change of a member, and for what a viewer may do.
create index members_active_admins_idx on members (org_id, id) where role = 'ORG_ADMIN' and status = 'ACTIVE';
