BEGIN TRANSACTION;
CREATE TABLE attempt (
	outbox_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	started_ms BIGINT NOT NULL, 
	finished_ms BIGINT, 
	outcome TEXT, 
	errcode INTEGER, 
	detail TEXT NOT NULL, 
	msg_id TEXT, 
	PRIMARY KEY (outbox_id, number), 
	FOREIGN KEY(outbox_id) REFERENCES outbox (outbox_id)
);
INSERT INTO "attempt" VALUES(1,1,1700000000000,1700000000000,'accepted',1,'detail-值','m1');
CREATE TABLE code_sent (sent_id INTEGER NOT NULL PRIMARY KEY, key TEXT NOT NULL, at_ms BIGINT NOT NULL);
INSERT INTO "code_sent" VALUES(1,'key-值',1700000000000);
CREATE TABLE consent (
	consent_id INTEGER NOT NULL, 
	u7 INTEGER NOT NULL, 
	purpose TEXT NOT NULL, 
	granted BOOLEAN NOT NULL, 
	version TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	channel TEXT NOT NULL, 
	PRIMARY KEY (consent_id)
);
INSERT INTO "consent" VALUES(1,7,'warnings',1,'version-值',1700000000000,'menu');
CREATE TABLE decision (
	decision_id INTEGER NOT NULL, 
	alert_id TEXT NOT NULL, 
	u7 INTEGER NOT NULL, 
	time_ms BIGINT NOT NULL, 
	zone_id TEXT NOT NULL, 
	zone_name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	visit_ms BIGINT NOT NULL, 
	send BOOLEAN NOT NULL, 
	reason TEXT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	lon DOUBLE NOT NULL, 
	lat DOUBLE NOT NULL, 
	distance_m DOUBLE, 
	bearing_deg DOUBLE, 
	compass TEXT NOT NULL, 
	eta_s DOUBLE, 
	may_apply BOOLEAN NOT NULL, 
	text TEXT NOT NULL, 
	revision INTEGER NOT NULL, 
	expires_at_ms BIGINT NOT NULL, 
	advice TEXT NOT NULL, 
	why TEXT DEFAULT '' NOT NULL, 
	until_ms BIGINT, 
	told_by TEXT DEFAULT '' NOT NULL, 
	also INTEGER DEFAULT 0 NOT NULL, 
	also_names TEXT DEFAULT '' NOT NULL, 
	opens_ms BIGINT, 
	decided_ms BIGINT NOT NULL, 
	PRIMARY KEY (decision_id), 
	UNIQUE (alert_id)
);
INSERT INTO "decision" VALUES(1,'00000000000000000000000000000001',7,1700000000000,'erqiao','zone_name-值','truck_restriction',1700000000000,1,'approach','approach',114.3,30.6,1.5,1.5,'N',1.5,1,'text-值',1,1700000000000,'advice-值','why-值',1700000000000,'',1,'["桥"]',1700000000000,1700000000000);
CREATE TABLE erasure (u7 INTEGER NOT NULL PRIMARY KEY, erasure_id TEXT NOT NULL, reason TEXT NOT NULL, begun_ms BIGINT NOT NULL, open_id TEXT);
INSERT INTO "erasure" VALUES(7,'erasure_id-值','request',1700000000000,'o-7');
CREATE TABLE free_number (u7 INTEGER NOT NULL PRIMARY KEY, freed_ms BIGINT NOT NULL);
INSERT INTO "free_number" VALUES(7,1700000000000);
CREATE TABLE history (
	u7 INTEGER NOT NULL, 
	time_ms BIGINT NOT NULL, 
	zone_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	lon DOUBLE, 
	lat DOUBLE, 
	revision INTEGER NOT NULL, 
	PRIMARY KEY (u7, time_ms, zone_id, kind)
);
INSERT INTO "history" VALUES(7,1700000000000,'erqiao','enter','moved',114.3,30.6,1);
CREATE TABLE inbound (inbound_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, received_ms BIGINT NOT NULL, open_id TEXT NOT NULL, kind TEXT NOT NULL, time_ms BIGINT NOT NULL, payload TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, next_ms BIGINT NOT NULL, reason TEXT NOT NULL DEFAULT '');
INSERT INTO "inbound" VALUES(1,'key-值',1700000000000,'o-7','text',1700000000000,'payload-值','done',1,1700000000000,'reason');
CREATE TABLE mute (
	u7 INTEGER NOT NULL, 
	zone_id TEXT NOT NULL, 
	until_ms BIGINT, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (u7, zone_id)
);
INSERT INTO "mute" VALUES(7,'erqiao',1700000000000,1700000000000);
CREATE TABLE outbox (
	outbox_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	alert_id TEXT NOT NULL, 
	u7 INTEGER NOT NULL, 
	state TEXT NOT NULL, 
	next_attempt_ms BIGINT NOT NULL, 
	expires_at_ms BIGINT NOT NULL, 
	give_up_ms BIGINT NOT NULL, 
	attempts INTEGER NOT NULL, 
	first_attempt_ms BIGINT, 
	lease_until_ms BIGINT, 
	in_doubt BOOLEAN NOT NULL, 
	ended TEXT NOT NULL, 
	UNIQUE (alert_id), 
	FOREIGN KEY(alert_id) REFERENCES decision (alert_id)
);
INSERT INTO "outbox" VALUES(1,'00000000000000000000000000000001',7,'delivered',1700000000000,1700000000000,1700000000000,1,1700000000000,1700000000000,1,'');
CREATE TABLE person (
	u7 INTEGER NOT NULL, 
	open_id TEXT, 
	kind TEXT, 
	size_class TEXT, 
	gross_weight_t DOUBLE, 
	plate TEXT, 
	service TEXT, 
	language TEXT NOT NULL, 
	vehicle TEXT, 
	PRIMARY KEY (u7), 
	UNIQUE (open_id)
);
INSERT INTO "person" VALUES(7,'o-7','goods','heavy',31.5,'鄂A12345',NULL,'zh',NULL);
CREATE TABLE phone (u7 INTEGER NOT NULL PRIMARY KEY, phone TEXT NOT NULL UNIQUE, at_ms BIGINT NOT NULL);
INSERT INTO "phone" VALUES(7,'13800000000',1700000000000);
CREATE TABLE phone_code (u7 INTEGER NOT NULL PRIMARY KEY, phone TEXT NOT NULL, digest TEXT NOT NULL, sent_ms BIGINT NOT NULL, tries INTEGER NOT NULL);
INSERT INTO "phone_code" VALUES(7,'13800000000','digest-值',1700000000000,1);
CREATE TABLE quiet_hours (
	u7 INTEGER NOT NULL, 
	from_min INTEGER NOT NULL, 
	until_min INTEGER NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (u7)
);
INSERT INTO "quiet_hours" VALUES(7,60,120,1700000000000);
CREATE TABLE quota_use (
	day INTEGER NOT NULL, 
	slot INTEGER NOT NULL, 
	grade INTEGER NOT NULL, 
	asked INTEGER NOT NULL, 
	sent INTEGER NOT NULL, 
	PRIMARY KEY (day, slot, grade)
);
INSERT INTO "quota_use" VALUES(1,1,1,1,1);
CREATE TABLE receipt (
	msg_id TEXT NOT NULL, 
	status TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (msg_id)
);
INSERT INTO "receipt" VALUES('m1','success',1700000000000);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(7);
CREATE TABLE tombstone (tombstone_id TEXT NOT NULL PRIMARY KEY, reason TEXT NOT NULL, at_ms BIGINT NOT NULL);
INSERT INTO "tombstone" VALUES('tombstone_id-值','request',1700000000000);
CREATE TABLE vehicle (vehicle_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, u7 INTEGER NOT NULL, active BOOLEAN NOT NULL, kind TEXT, size_class TEXT, gross_weight_t DOUBLE PRECISION, plate TEXT, service TEXT, language TEXT NOT NULL, vehicle TEXT, at_ms BIGINT NOT NULL);
INSERT INTO "vehicle" VALUES(1,7,1,'goods','heavy',31.5,'鄂A12345',NULL,'zh',NULL,1700000000000);
CREATE TABLE visit (
	u7 INTEGER NOT NULL, 
	zone_id TEXT NOT NULL, 
	visit_ms BIGINT NOT NULL, 
	last_ms BIGINT NOT NULL, 
	open BOOLEAN NOT NULL, 
	inside BOOLEAN NOT NULL, 
	decided BOOLEAN NOT NULL, 
	sent_ms BIGINT, 
	PRIMARY KEY (u7, zone_id)
);
INSERT INTO "visit" VALUES(7,'erqiao',1700000000000,1700000000000,1,1,1,1700000000000);
CREATE TABLE zone_revision (
	revision INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (revision)
);
INSERT INTO "zone_revision" VALUES(1,'sha256-值',1700000000000);
CREATE INDEX ix_consent_latest ON consent (u7, purpose, consent_id);
CREATE INDEX ix_decision_u7 ON decision (u7, decision_id);
CREATE INDEX ix_decision_reason ON decision (reason);
CREATE INDEX ix_decision_time ON decision (time_ms);
CREATE INDEX ix_history_time ON history (time_ms);
CREATE INDEX ix_outbox_u7 ON outbox (u7, state, outbox_id);
CREATE INDEX ix_outbox_queue ON outbox (state, outbox_id);
CREATE INDEX ix_attempt_msg_id ON attempt (msg_id);
CREATE INDEX ix_inbound_queue ON inbound (state, inbound_id);
CREATE INDEX ix_inbound_open_id ON inbound (open_id, state, inbound_id);
CREATE INDEX ix_code_sent_at_ms ON code_sent (at_ms);
CREATE INDEX ix_vehicle_u7 ON vehicle (u7);
CREATE INDEX ix_free_number_freed_ms ON free_number (freed_ms);
CREATE INDEX ix_code_sent_key ON code_sent (key, at_ms);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
INSERT INTO "sqlite_sequence" VALUES('inbound',1);
INSERT INTO "sqlite_sequence" VALUES('vehicle',1);
COMMIT;
