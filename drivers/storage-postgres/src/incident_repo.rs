//! The port [`IncidentRepo`].

use async_trait::async_trait;
use nebula_core::TenantId;
use nebula_ports::{
    CounterChange, Incident, IncidentChange, IncidentChanged, IncidentFilter, IncidentOpened,
    IncidentRef, IncidentRepo, NewIncident, Operation, Page, PageToken, Result, TimelineEntry,
    check_change, check_counter, check_incident, check_operation,
};
use uuid::Uuid;

use crate::{Postgres, error::DRIVER, incidents};

#[async_trait]
impl IncidentRepo for Postgres {
    async fn open(
        &self,
        tenant: &TenantId,
        id: Uuid,
        operation: &Operation,
        new: NewIncident,
    ) -> Result<IncidentOpened> {
        check_operation(DRIVER, operation)?;
        check_incident(DRIVER, &new)?;
        let bytes = new.description.len();
        let data = (tenant.clone(), id, operation.clone(), new);
        self.write(
            "open an incident",
            bytes,
            data,
            |tx, (tenant, id, operation, new)| {
                Box::pin(incidents::open(tx, tenant, *id, (operation, new.clone())))
            },
        )
        .await
    }

    async fn change(
        &self,
        tenant: &TenantId,
        which: &IncidentRef,
        operation: &Operation,
        change: IncidentChange,
    ) -> Result<IncidentChanged> {
        check_operation(DRIVER, operation)?;
        check_change(DRIVER, &change)?;
        let data = (tenant.clone(), which.clone(), operation.clone(), change);
        self.write(
            "change an incident",
            0,
            data,
            |tx, (tenant, which, operation, change)| {
                Box::pin(incidents::change(tx, tenant, which, (operation, change)))
            },
        )
        .await
    }

    async fn get(&self, tenant: &TenantId, which: &IncidentRef) -> Result<Option<Incident>> {
        let data = (tenant.clone(), which.clone());
        self.read("get an incident", data, |link, (tenant, which)| {
            Box::pin(incidents::get(link, tenant, which))
        })
        .await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        filter: &IncidentFilter,
        after: Option<&PageToken>,
        limit: usize,
    ) -> Result<Page<Incident>> {
        let data = (tenant.clone(), filter.clone(), after.cloned(), limit);
        self.read(
            "list incidents",
            data,
            |link, (tenant, filter, after, limit)| {
                Box::pin(incidents::list(
                    link,
                    tenant,
                    filter,
                    (after.as_ref(), *limit),
                ))
            },
        )
        .await
    }

    async fn timeline(
        &self,
        tenant: &TenantId,
        id: Uuid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TimelineEntry>> {
        let data = (tenant.clone(), id, (after, limit));
        self.read("read a timeline", data, |link, (tenant, id, page)| {
            Box::pin(incidents::timeline(link, tenant, *id, *page))
        })
        .await
    }

    async fn count(
        &self,
        tenant: &TenantId,
        counter: &str,
        operation: &Operation,
        change: CounterChange,
    ) -> Result<u64> {
        check_operation(DRIVER, operation)?;
        check_counter(DRIVER, counter)?;
        let data = (
            tenant.clone(),
            counter.to_owned(),
            operation.clone(),
            change,
        );
        self.write(
            "count",
            0,
            data,
            |tx, (tenant, counter, operation, change)| {
                Box::pin(incidents::count(tx, tenant, counter, (operation, *change)))
            },
        )
        .await
    }
}
