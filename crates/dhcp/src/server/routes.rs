//! The routes to delegated prefixes.

use super::{Action, Actions, Route, Server};
use crate::lease::{LeaseState, Resource};
use std::collections::BTreeSet;

impl Server {
    /// The routes that should stand.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// Brings the route of a resource to what the store and the links say.
    pub(super) fn sync_route(&mut self, resource: Resource, actions: &mut Actions) {
        let Resource::Prefix(prefix) = resource else { return };
        let lease = self.flight.durable(resource, &self.table);
        let bound = lease.filter(|lease| lease.state == LeaseState::Bound);
        let wanted = bound
            // What is behind somebody else's router, that one routes; a relay agent on a link of ours is a bridge (RFC 6221).
            .filter(|lease| !self.remote.contains(&lease.link) && lease.peer.is_unicast_link_local())
            .filter(|lease| self.lifetimes_of(&lease.link, resource).is_some())
            .map(|lease| Route { prefix, via: lease.peer, link: lease.link.clone() });
        if wanted.as_ref() == self.routes.get(&prefix) {
            return;
        }
        if let Some(route) = wanted {
            self.routes.insert(prefix, route.clone());
            actions.push(Action::RouteAdd(route));
        } else {
            self.routes.remove(&prefix);
            actions.push(Action::RouteRemove { prefix });
        }
    }

    pub(super) fn sync_all_routes(&mut self, actions: &mut Actions) {
        let leased = self.table.prefixes().chain(self.flight.leaving().prefixes());
        let routed = self.routes.keys().map(|prefix| Resource::Prefix(*prefix));
        let all: BTreeSet<_> = leased.chain(routed).collect();
        for resource in all {
            self.sync_route(resource, actions);
        }
    }
}
