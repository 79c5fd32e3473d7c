/**
 * The database's shape, as steps that only add, one statement each, so that the version before can go
 * on running beside the new one. Never edit a step that was released: append.
 */
export const migrations: readonly string[] = [
  `CREATE TABLE record (
     tab TEXT NOT NULL, id TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, version BIGINT NOT NULL,
     created_ms BIGINT NOT NULL, updated_ms BIGINT NOT NULL, body BLOB NOT NULL, sealed BLOB, mac BLOB NOT NULL,
     PRIMARY KEY (tab, id))`,
  `CREATE TABLE record_index (
     name TEXT NOT NULL, equals TEXT NOT NULL, ord TEXT NOT NULL, id TEXT NOT NULL,
     PRIMARY KEY (name, equals, ord, id)) WITHOUT ROWID`,
  // Rows of some hundred KB have an index beside them: in a tree without row ids SQLite reads a whole row at every comparison.
  `CREATE TABLE audit_segment (
     shard TEXT NOT NULL, first_seq BIGINT NOT NULL, count BIGINT NOT NULL, links BLOB NOT NULL,
     PRIMARY KEY (shard, first_seq))`,
  `CREATE TABLE audit_head (
     shard TEXT NOT NULL PRIMARY KEY, seq BIGINT NOT NULL, hash BLOB NOT NULL, mac BLOB NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE audit_scope (scope INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)`,
  `CREATE TABLE audit_posting (
     scope BIGINT NOT NULL, shard TEXT NOT NULL, first_seq BIGINT NOT NULL, low_ms BIGINT NOT NULL, high_ms BIGINT NOT NULL, entries BLOB NOT NULL,
     PRIMARY KEY (scope, shard, first_seq))`,
  `CREATE INDEX audit_posting_low ON audit_posting (scope, shard, low_ms, first_seq)`,
  `CREATE TABLE audit_mark (shard TEXT NOT NULL PRIMARY KEY, seq BIGINT NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE fact (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID`,
  `CREATE TABLE audit_usage (
     shard TEXT NOT NULL, first_seq BIGINT NOT NULL, counts BLOB NOT NULL, mac BLOB NOT NULL,
     PRIMARY KEY (shard, first_seq))`,
];
