-- What an operator has settled about each tenant; what is null is not bounded.
CREATE TABLE tenants (
    tenant            text    COLLATE "C" PRIMARY KEY,
    version           bigint  NOT NULL,
    name              text    NOT NULL,
    disabled          boolean NOT NULL,
    executions        bigint,
    bytes             bigint,
    starts_per_second bigint,
    weight            bigint NOT NULL DEFAULT 1
);
