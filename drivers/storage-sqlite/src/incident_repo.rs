//! The port [`IncidentRepo`].

use async_trait::async_trait;
use nebula_core::TenantId;
use nebula_ports::{
    CounterChange, Incident, IncidentChange, IncidentChanged, IncidentFilter, IncidentOpened,
    IncidentRef, IncidentRepo, NewIncident, Operation, Page, PageToken, Result, TimelineEntry,
    check_change, check_counter, check_incident, check_operation,
};
use uuid::Uuid;

use crate::{Sqlite, error::DRIVER, incidents};

#[async_trait]
impl IncidentRepo for Sqlite {
    async fn open(
        &self,
        tenant: &TenantId,
        id: Uuid,
        operation: &Operation,
        new: NewIncident,
    ) -> Result<IncidentOpened> {
        check_operation(DRIVER, operation)?;
        check_incident(DRIVER, &new)?;
        let (tenant, operation) = (tenant.clone(), operation.clone());
        self.write("open an incident", new.description.len(), move |tx| {
            incidents::open(tx, &tenant, id, (&operation, new.clone()))
        })
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
        let (tenant, which, operation) = (tenant.clone(), which.clone(), operation.clone());
        self.write("change an incident", 0, move |tx| {
            incidents::change(tx, &tenant, &which, (&operation, &change))
        })
        .await
    }

    async fn get(&self, tenant: &TenantId, which: &IncidentRef) -> Result<Option<Incident>> {
        let (tenant, which) = (tenant.clone(), which.clone());
        self.read("get an incident", move |db| {
            incidents::get(db, &tenant, &which)
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
        let (tenant, filter, after) = (tenant.clone(), filter.clone(), after.cloned());
        self.read("list incidents", move |db| {
            incidents::list(db, &tenant, &filter, (after.as_ref(), limit))
        })
        .await
    }

    async fn timeline(
        &self,
        tenant: &TenantId,
        id: Uuid,
        after: u64,
        limit: usize,
    ) -> Result<Vec<TimelineEntry>> {
        let tenant = tenant.clone();
        self.read("read a timeline", move |db| {
            incidents::timeline(db, &tenant, id, (after, limit))
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
        let (tenant, counter) = (tenant.clone(), counter.to_owned());
        let operation = operation.clone();
        self.write("count", 0, move |tx| {
            incidents::count(tx, &tenant, &counter, (&operation, change))
        })
        .await
    }
}
