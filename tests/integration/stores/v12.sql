BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0012');
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
CREATE TABLE code_sent (
	sent_id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (sent_id)
);
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
CREATE TABLE dispatch (
	client_msg_id TEXT NOT NULL, 
	open_id TEXT NOT NULL, 
	channel TEXT NOT NULL, 
	template_id TEXT NOT NULL, 
	"trigger" TEXT, 
	window_ms BIGINT, 
	state TEXT NOT NULL, 
	msg_id TEXT, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (client_msg_id)
);
INSERT INTO "dispatch" VALUES('client_msg_id-值','o-7','template','template_id-值','message',1700000000000,'taken','m1',1700000000000);
CREATE TABLE erasure (
	u7 INTEGER NOT NULL, 
	erasure_id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	begun_ms BIGINT NOT NULL, 
	open_id TEXT, 
	PRIMARY KEY (u7)
);
INSERT INTO "erasure" VALUES(7,'erasure_id-值','request',1700000000000,'o-7');
CREATE TABLE free_number (
	u7 INTEGER NOT NULL, 
	freed_ms BIGINT NOT NULL, 
	PRIMARY KEY (u7)
);
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
CREATE TABLE inbound (
	inbound_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"key" TEXT NOT NULL, 
	received_ms BIGINT NOT NULL, 
	open_id TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	time_ms BIGINT NOT NULL, 
	payload TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	next_ms BIGINT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL, 
	UNIQUE ("key")
);
INSERT INTO "inbound" VALUES(1,'key-值',1700000000000,'o-7','text',1700000000000,'payload-值','done',1,1700000000000,'reason');
CREATE TABLE journal_mark (
	mark_id INTEGER NOT NULL, 
	position BIGINT NOT NULL, 
	PRIMARY KEY (mark_id)
);
INSERT INTO "journal_mark" VALUES(1,42);
CREATE TABLE meeting (
	meeting_id TEXT NOT NULL, 
	code TEXT NOT NULL, 
	organiser INTEGER NOT NULL, 
	title TEXT NOT NULL, 
	place TEXT NOT NULL, 
	lon DOUBLE NOT NULL, 
	lat DOUBLE NOT NULL, 
	from_ms BIGINT NOT NULL, 
	until_ms BIGINT NOT NULL, 
	ended_ms BIGINT, 
	PRIMARY KEY (meeting_id), 
	UNIQUE (code)
);
INSERT INTO "meeting" VALUES('meeting_id-值','code-值',7,'title-值','place-值',114.3,30.6,1700000000000,1700000000000,1700000000000);
CREATE TABLE meeting_member (
	meeting_id TEXT NOT NULL, 
	u7 INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	joined_ms BIGINT NOT NULL, 
	shares BOOLEAN NOT NULL, 
	notice_m DOUBLE, 
	arrived_ms BIGINT, 
	PRIMARY KEY (meeting_id, u7), 
	FOREIGN KEY(meeting_id) REFERENCES meeting (meeting_id)
);
INSERT INTO "meeting_member" VALUES('meeting_id-值',7,'name-值',1700000000000,1,1.5,1700000000000);
CREATE TABLE meeting_told (
	meeting_id TEXT NOT NULL, 
	u7 INTEGER NOT NULL, 
	about INTEGER NOT NULL, 
	PRIMARY KEY (meeting_id, u7, about), 
	FOREIGN KEY(meeting_id) REFERENCES meeting (meeting_id)
);
INSERT INTO "meeting_told" VALUES('meeting_id-值',7,7);
CREATE TABLE message (
	message_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	"key" TEXT NOT NULL, 
	u7 INTEGER NOT NULL, 
	phone TEXT, 
	plate TEXT, 
	direction TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	event_ms BIGINT NOT NULL, 
	recorded_ms BIGINT NOT NULL, 
	lon DOUBLE, 
	lat DOUBLE, 
	datum TEXT DEFAULT '' NOT NULL, 
	title TEXT DEFAULT '' NOT NULL, 
	text TEXT DEFAULT '' NOT NULL, 
	why TEXT DEFAULT '' NOT NULL, 
	cause TEXT DEFAULT '' NOT NULL, 
	channel TEXT DEFAULT '' NOT NULL, 
	outcome TEXT DEFAULT '' NOT NULL, 
	attempts INTEGER DEFAULT 1 NOT NULL, 
	errcode INTEGER, 
	detail TEXT DEFAULT '' NOT NULL, 
	msg_id TEXT, 
	receipt TEXT, 
	receipt_ms BIGINT, 
	UNIQUE ("key")
);
INSERT INTO "message" VALUES(1,'key-值',7,'13800000000','鄂A12345','out','warning',1700000000000,1700000000000,114.3,30.6,'wgs84','title-值','text-值','why-值','cause-值','template','delivered',1,1,'detail-值','m1','receipt-值',1700000000000);
CREATE TABLE message_tally (
	day INTEGER NOT NULL, 
	direction TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	messages INTEGER NOT NULL, 
	PRIMARY KEY (day, direction, kind)
);
INSERT INTO "message_tally" VALUES(1,'out','warning',1);
CREATE TABLE message_zone (
	zone_id TEXT NOT NULL, 
	event_ms BIGINT NOT NULL, 
	message_id INTEGER NOT NULL, 
	u7 INTEGER NOT NULL, 
	PRIMARY KEY (zone_id, event_ms, message_id), 
	FOREIGN KEY(message_id) REFERENCES message (message_id)
);
INSERT INTO "message_zone" VALUES('erqiao',1700000000000,1,7);
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
	holder INTEGER DEFAULT 0 NOT NULL, 
	UNIQUE (alert_id), 
	FOREIGN KEY(alert_id) REFERENCES decision (alert_id)
);
INSERT INTO "outbox" VALUES(1,'00000000000000000000000000000001',7,'delivered',1700000000000,1700000000000,1700000000000,1,1700000000000,1700000000000,1,'',1);
CREATE TABLE page_session (
	digest TEXT NOT NULL, 
	open_id TEXT NOT NULL, 
	until_ms BIGINT NOT NULL, 
	notices TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
INSERT INTO "page_session" VALUES('digest-值','o-7',1700000000000,'notices-值');
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
CREATE TABLE person_change (
	change_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	u7 INTEGER NOT NULL, 
	what TEXT NOT NULL, 
	zone_id TEXT DEFAULT '' NOT NULL
);
INSERT INTO "person_change" VALUES(1,7,'what-值','erqiao');
CREATE TABLE phone (
	u7 INTEGER NOT NULL, 
	phone TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (u7), 
	UNIQUE (phone)
);
INSERT INTO "phone" VALUES(7,'13800000000',1700000000000);
CREATE TABLE phone_code (
	u7 INTEGER NOT NULL, 
	phone TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	sent_ms BIGINT NOT NULL, 
	tries INTEGER NOT NULL, 
	PRIMARY KEY (u7)
);
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
CREATE TABLE reply_window (
	open_id TEXT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	opened_ms BIGINT NOT NULL, 
	used INTEGER NOT NULL, 
	PRIMARY KEY (open_id, "trigger")
);
INSERT INTO "reply_window" VALUES('o-7','message',1700000000000,1);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(12);
CREATE TABLE shared_token (
	account TEXT NOT NULL, 
	value TEXT NOT NULL, 
	renew_at_ms BIGINT NOT NULL, 
	version INTEGER NOT NULL, 
	lease_until_ms BIGINT NOT NULL, 
	forced_at_ms BIGINT, 
	PRIMARY KEY (account)
);
INSERT INTO "shared_token" VALUES('wx1','value-值',1700000000000,1,1700000000000,1700000000000);
CREATE TABLE spent_state (
	state TEXT NOT NULL, 
	until_ms BIGINT NOT NULL, 
	PRIMARY KEY (state)
);
INSERT INTO "spent_state" VALUES('state',1700000000000);
CREATE TABLE standing (
	open_id TEXT NOT NULL, 
	standing TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	calm_until_ms BIGINT NOT NULL, 
	PRIMARY KEY (open_id)
);
INSERT INTO "standing" VALUES('o-7','open',1700000000000,1700000000000);
CREATE TABLE template_grant (
	open_id TEXT NOT NULL, 
	template_id TEXT NOT NULL, 
	"left" INTEGER, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (open_id, template_id)
);
INSERT INTO "template_grant" VALUES('o-7','template_id-值',1,1700000000000);
CREATE TABLE tombstone (
	tombstone_id TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (tombstone_id)
);
INSERT INTO "tombstone" VALUES('tombstone_id-值','request',1700000000000);
CREATE TABLE vehicle (
	vehicle_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	u7 INTEGER NOT NULL, 
	active BOOLEAN NOT NULL, 
	kind TEXT, 
	size_class TEXT, 
	gross_weight_t DOUBLE, 
	plate TEXT, 
	service TEXT, 
	language TEXT NOT NULL, 
	vehicle TEXT, 
	at_ms BIGINT NOT NULL
);
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
CREATE TABLE webhook (
	webhook_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	event_id TEXT NOT NULL, 
	endpoint TEXT NOT NULL, 
	u7 INTEGER, 
	type TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	time_ms BIGINT NOT NULL, 
	data TEXT NOT NULL, 
	state TEXT NOT NULL, 
	attempts INTEGER DEFAULT 0 NOT NULL, 
	next_ms BIGINT NOT NULL, 
	expires_ms BIGINT NOT NULL, 
	reason TEXT DEFAULT '' NOT NULL
);
INSERT INTO "webhook" VALUES(1,'event_id-值','endpoint-值',7,'message','subject-值',1700000000000,'data-值','waiting',1,1700000000000,1700000000000,'reason');
CREATE TABLE zone_revision (
	revision INTEGER NOT NULL, 
	sha256 TEXT NOT NULL, 
	at_ms BIGINT NOT NULL, 
	PRIMARY KEY (revision)
);
INSERT INTO "zone_revision" VALUES(1,'sha256-值',1700000000000);
CREATE INDEX ix_consent_latest ON consent (u7, purpose, consent_id);
CREATE INDEX ix_decision_time ON decision (time_ms);
CREATE INDEX ix_decision_u7 ON decision (u7, decision_id);
CREATE INDEX ix_decision_reason ON decision (reason);
CREATE INDEX ix_history_time ON history (time_ms);
CREATE INDEX ix_inbound_queue ON inbound (state, inbound_id);
CREATE INDEX ix_inbound_open_id ON inbound (open_id, state, inbound_id);
CREATE INDEX ix_code_sent_at_ms ON code_sent (at_ms);
CREATE INDEX ix_code_sent_key ON code_sent ("key", at_ms);
CREATE INDEX ix_vehicle_u7 ON vehicle (u7);
CREATE INDEX ix_free_number_freed_ms ON free_number (freed_ms);
CREATE INDEX ix_dispatch_open_id ON dispatch (open_id);
CREATE INDEX ix_meeting_organiser ON meeting (organiser);
CREATE INDEX ix_message_u7 ON message (u7, event_ms);
CREATE INDEX ix_message_plate ON message (plate, event_ms);
CREATE INDEX ix_message_event ON message (event_ms);
CREATE INDEX ix_message_direction ON message (direction, event_ms);
CREATE INDEX ix_message_kind ON message (kind, event_ms);
CREATE INDEX ix_message_msg_id ON message (msg_id);
CREATE INDEX ix_message_phone ON message (phone, event_ms);
CREATE INDEX ix_webhook_expires_ms ON webhook (expires_ms);
CREATE INDEX ix_webhook_queue ON webhook (endpoint, state, next_ms);
CREATE INDEX ix_webhook_u7 ON webhook (u7);
CREATE INDEX ix_person_change_u7 ON person_change (u7);
CREATE INDEX ix_spent_state_until_ms ON spent_state (until_ms);
CREATE INDEX ix_page_session_until_ms ON page_session (until_ms);
CREATE INDEX ix_page_session_open_id ON page_session (open_id);
CREATE INDEX ix_outbox_u7 ON outbox (u7, state, outbox_id);
CREATE INDEX ix_outbox_queue ON outbox (state, outbox_id);
CREATE INDEX ix_meeting_member_u7 ON meeting_member (u7);
CREATE INDEX ix_message_zone_u7 ON message_zone (u7);
CREATE INDEX ix_message_zone_message_id ON message_zone (message_id);
CREATE INDEX ix_attempt_msg_id ON attempt (msg_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('inbound',1);
INSERT INTO "sqlite_sequence" VALUES('message',1);
INSERT INTO "sqlite_sequence" VALUES('person_change',1);
INSERT INTO "sqlite_sequence" VALUES('vehicle',1);
INSERT INTO "sqlite_sequence" VALUES('webhook',1);
INSERT INTO "sqlite_sequence" VALUES('outbox',1);
COMMIT;
