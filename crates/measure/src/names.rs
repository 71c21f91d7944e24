//! The names behind the owner's numbers: links, ports, tags and customers, each numbered once.

use std::sync::Arc;

use hashbrown::HashMap;
use model::{Address, Link, Name, Port, Role, Tag};
use serde::{Deserialize, Serialize};

use crate::counts::NewNames;

/// Numbers for links, ports, tags and customers, the same for all workers.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) links: Vec<Arc<Link>>,
    links_by_name: HashMap<Name, u32>,
    pub(crate) ports: Vec<Arc<Port>>,
    ports_by_name: HashMap<Name, u32>,
    /// Entry 0 is the empty tag.
    pub(crate) tags: Vec<Tag>,
    tags_by_content: HashMap<Tag, u32>,
    /// Entry 0 is no name.
    pub(crate) customers: Vec<Name>,
    customers_by_name: HashMap<Name, u32>,
}

impl Default for Names {
    fn default() -> Names {
        let mut names = Names {
            links: Vec::new(),
            links_by_name: HashMap::new(),
            ports: Vec::new(),
            ports_by_name: HashMap::new(),
            tags: Vec::new(),
            tags_by_content: HashMap::new(),
            customers: Vec::new(),
            customers_by_name: HashMap::new(),
        };
        names.tag(&Tag::default());
        names.customer(&Name::from(""));
        names
    }
}

impl Names {
    /// The number of a link; what is told last about it holds. What changes goes to `changes` as well.
    pub(crate) fn link(&mut self, link: &Arc<Link>, changes: &mut Vec<(u32, Arc<Link>)>) -> u32 {
        if let Some(number) = self.links_by_name.get(&link.name) {
            let held = &mut self.links[*number as usize];
            if held != link {
                *held = link.clone();
                changes.push((*number, link.clone()));
            }
            return *number;
        }
        let number = self.links.len() as u32;
        self.links_by_name.insert(link.name.clone(), number);
        self.links.push(link.clone());
        changes.push((number, link.clone()));
        number
    }

    /// The number of a port, likewise.
    pub(crate) fn port(&mut self, port: &Arc<Port>, changes: &mut Vec<(u32, Arc<Port>)>) -> u32 {
        if let Some(number) = self.ports_by_name.get(&port.name) {
            let held = &mut self.ports[*number as usize];
            if held != port {
                *held = port.clone();
                changes.push((*number, port.clone()));
            }
            return *number;
        }
        let number = self.ports.len() as u32;
        self.ports_by_name.insert(port.name.clone(), number);
        self.ports.push(port.clone());
        changes.push((number, port.clone()));
        number
    }

    /// Takes in what a report made new; of the owner that made it, it changes nothing.
    pub(crate) fn apply(&mut self, new: &NewNames) {
        for (_, link) in &new.links {
            self.link(link, &mut Vec::new());
        }
        for (_, port) in &new.ports {
            self.port(port, &mut Vec::new());
        }
        for tag in &new.tags {
            self.tag(tag);
        }
        for customer in &new.customers {
            self.customer(customer);
        }
    }

    /// Forgets what a configuration said of links; the next one says it anew.
    pub(crate) fn forget_configuration(&mut self) {
        for link in &mut self.links {
            Arc::make_mut(link).is_active = false;
        }
    }

    /// The number of the port that a link rides, if it is known.
    pub(crate) fn port_of(&self, link: &Link) -> Option<u32> {
        self.ports_by_name.get(link.port.as_ref()?).copied()
    }

    /// The number of a tag.
    pub(crate) fn tag(&mut self, tag: &Tag) -> u32 {
        if let Some(number) = self.tags_by_content.get(tag) {
            return *number;
        }
        let number = self.tags.len() as u32;
        self.tags_by_content.insert(tag.clone(), number);
        self.tags.push(tag.clone());
        number
    }

    /// The number of a customer's name.
    pub(crate) fn customer(&mut self, name: &Name) -> u32 {
        if let Some(number) = self.customers_by_name.get(name) {
            return *number;
        }
        let number = self.customers.len() as u32;
        self.customers_by_name.insert(name.clone(), number);
        self.customers.push(name.clone());
        number
    }

    /// The number of the link that takes in what has no other.
    pub(crate) fn other_link(&mut self, changes: &mut Vec<(u32, Arc<Link>)>) -> u32 {
        self.link(&Arc::new(other_link()), changes)
    }

    /// The number of the port that takes in what has no other.
    pub(crate) fn other_port(&mut self, changes: &mut Vec<(u32, Arc<Port>)>) -> u32 {
        self.port(&Arc::new(other_port()), changes)
    }
}

fn other_link() -> Link {
    Link {
        name: Name::from("other"),
        peering: None,
        kind: None,
        role: Role::Other,
        location: None,
        exchange: None,
        port: None,
        exporters: Vec::new(),
        is_active: false,
    }
}

fn other_port() -> Port {
    Port {
        name: Name::from("other"),
        exporter: Address::UNKNOWN,
        role: Role::Other,
        configured_bps: None,
        provisioned_bps: None,
        speed_bps: None,
        members: Vec::new(),
    }
}
